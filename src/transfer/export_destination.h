// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::transfer {

// Where an export goes: a name in an open folder, and beside it a name for what is not complete
// yet. Internal to transfer/.
class ExportDestination {
 public:
  // The folder has to exist; slashes at the end count nothing.
  static Result<ExportDestination> open(const std::string& destination);

  int folder_fd() const { return folder_.get(); }
  const std::string& folder_path() const { return folder_path_; }
  const std::string& name() const { return name_; }
  const std::string& path() const { return path_; }

  Result<bool> exists() const;
  static std::unexpected<Error> exists_already();

  // A name in the folder that nothing has: NAME.partial-XXXXXX.
  Result<std::string> new_partial_name() const;
  // The paths of all that has such a name.
  std::vector<std::string> find_partial() const;

  // Renames what is complete. Never overwrites.
  Result<void> give_name(const std::string& partial) const;

 private:
  ExportDestination(UniqueFd folder, std::string folder_path, std::string name, std::string path)
      : folder_(std::move(folder)),
        folder_path_(std::move(folder_path)),
        name_(std::move(name)),
        path_(std::move(path)) {}

  std::string partial_prefix() const;

  UniqueFd folder_;
  std::string folder_path_;
  std::string name_;  // empty for "/"
  std::string path_;
};

}  // namespace castore::transfer
