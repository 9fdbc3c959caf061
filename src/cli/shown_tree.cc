// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/shown_tree.h"

#include <chrono>
#include <span>
#include <utility>
#include <variant>

#include "cli/describe.h"
#include "fs/content_cache.h"
#include "fs/content_profile.h"
#include "transfer/resolve.h"

namespace castore::cli {
namespace {

// A walk over a wide tree of small folders stays below 300 MiB of memory with it
// (bench/mount_memory.py). Folders of some 70,000 entries and more do not count here.
constexpr size_t kDirectoryCacheBytes = size_t{32} << 20;

// How long the look at what is shown may take: a mount is to be ready in an instant.
constexpr std::chrono::milliseconds kProfileTime{5};

}  // namespace

void ShownTree::Options::declare(OptionSet& options) {
  options.value("--root", "REF", root,
                "Show the entries of this folder: a digest, a store path, or REF/SUB/PATH");
  options.flag("--list-root", list_root,
               "Let the root be listed, not only its names be looked up (always with --root)");
  options.flag("--show-xattr", show_xattr,
               "Show digests as extended attributes; --show-xattr=false does not");
}

Result<ShownTree> ShownTree::open(const Context& ctx, const store::Services& services,
                                  const std::string& store_folder, const Options& options,
                                  Kernels kernels, std::string_view doing) {
  ShownTree shown;
  shown.services_ = services;
  shown.options_.list_root = options.list_root || options.root.has_value();
  shown.options_.xattr_names = options.show_xattr ? fs::XattrNames::kSnix : fs::XattrNames::kNone;
  shown.cache_ = std::make_shared<fs::ContentCache>(
      services.blobs, services.directories,
      fs::ContentCache::Options{.directory_bytes = kDirectoryCacheBytes,
                                .several_kernels = kernels == Kernels::kSeveral});
  if (!options.root) {
    shown.source_ = "castore:" + store_folder;
    shown.root_ = fs::path_info_root(services.path_infos);
    return shown;
  }
  auto found = CASTORE_TRY_WHILE(transfer::resolve(ctx, services, *options.root), "{} {}", doing,
                                 *options.root);
  const auto* node = std::get_if<DirectoryNode>(&found.node);
  if (node == nullptr)
    return fail(ErrorKind::kInvalidArgument, "{} {}: it is no folder but a {}", doing,
                *options.root, to_string(kind_of(found.node)));
  shown.source_ = "castore:" + node->digest.to_text();
  shown.node_ = found.node;
  shown.root_ =
      fs::directory_root(CASTORE_TRY(get_directory(ctx, services, node->digest, *options.root)));
  return shown;
}

bool ShownTree::few_large_files(const Context& ctx) const {
  Context profiling = ctx;
  profiling.may_wait = false;
  profiling.deadline = std::chrono::steady_clock::now() + kProfileTime;
  const fs::ContentProfile profile =
      node_ ? fs::profile_content(profiling, *services_.directories, std::span(&*node_, 1))
            : fs::profile_paths(profiling, *services_.path_infos, *services_.directories);
  return profile.few_large_files();
}

std::shared_ptr<fs::Filesystem> ShownTree::make_filesystem() const {
  return std::make_shared<fs::Filesystem>(cache_, root_, options_);
}

}  // namespace castore::cli
