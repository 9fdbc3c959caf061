// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/context.h"
#include "base/result.h"
#include "cli/option_set.h"
#include "fs/filesystem.h"
#include "fs/root.h"
#include "model/node.h"
#include "store/services.h"

namespace castore::cli {

// What a mount or a guest is shown: one folder of the store, or all registered paths.
class ShownTree {
 public:
  // As the command line has it.
  struct Options {
    std::optional<std::string> root;
    bool list_root = false;
    bool show_xattr = true;

    void declare(OptionSet& options);
  };

  // Whether one kernel is shown it, or several, by a filesystem each.
  enum class Kernels { kOne, kSeveral };

  // Looks the root up; `doing` is what an error says was attempted with it, as "mounting". What is
  // shown keeps the services.
  static Result<ShownTree> open(const Context& ctx, const store::Services& services,
                                const std::string& store_folder, const Options& options,
                                Kernels kernels, std::string_view doing);

  // In one word, as a mount table shows it: "castore:" and a digest, or the store's folder.
  const std::string& source() const { return source_; }

  // Whether that is few large files rather than many small ones: a guess that takes a few
  // milliseconds at most, and is false where the store would have to be waited for.
  bool few_large_files(const Context& ctx) const;

  // A filesystem that shows it. All of them fetch into one cache. Does not wait for the store.
  std::shared_ptr<fs::Filesystem> make_filesystem() const;

 private:
  store::Services services_;
  std::shared_ptr<fs::RootProvider> root_;
  std::optional<Node> node_;  // of the one folder
  std::string source_;
  fs::FilesystemOptions options_;
  std::shared_ptr<fs::ContentCache> cache_;
};

}  // namespace castore::cli
