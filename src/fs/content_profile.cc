// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/content_profile.h"

#include <deque>
#include <utility>
#include <variant>
#include <vector>

#include "digest/digest.h"
#include "model/directory.h"

namespace castore::fs {
namespace {

constexpr uint64_t kEntriesMax = 4096;
constexpr size_t kFoldersMax = 64;
constexpr uint64_t kLargeBytes = uint64_t{1} << 20;

}  // namespace

bool ContentProfile::few_large_files() const {
  return files > 0 && bytes / files >= kLargeBytes;
}

ContentProfile profile_content(const Context& ctx, store::DirectoryService& directories,
                               std::span<const Node> tops) {
  ContentProfile profile;
  std::deque<Digest> folders;
  uint64_t entries = 0;
  for (const Node& top : tops) {
    if (const auto* directory = std::get_if<DirectoryNode>(&top); directory != nullptr) {
      if (folders.size() < kFoldersMax) folders.push_back(directory->digest);
    } else if (const auto* file = std::get_if<FileNode>(&top); file != nullptr) {
      ++profile.files;
      profile.bytes += file->size;
    }
  }
  auto look_at = [&](const Directory& directory) {
    for (size_t i = 0; i < directory.entry_count() && entries < kEntriesMax; ++i, ++entries) {
      DirectoryEntry entry = directory.entry(i);
      if (entry.kind == NodeKind::kDirectory && folders.size() < kFoldersMax)
        folders.push_back(entry.digest);
      if (entry.kind != NodeKind::kFile) continue;
      ++profile.files;
      profile.bytes += entry.size;
    }
  };
  for (size_t looked_at = 0; looked_at < kFoldersMax && !folders.empty() && ctx.check();
       ++looked_at) {
    auto directory = directories.get(ctx, folders.front());
    folders.pop_front();
    if (directory && *directory) look_at(**directory);
  }
  return profile;
}

ContentProfile profile_paths(const Context& ctx, store::PathInfoService& path_infos,
                             store::DirectoryService& directories) {
  std::vector<Node> tops;
  // Ends with an error either way: when there is enough, or no more time.
  (void)path_infos.list(ctx, [&](const auto&, Result<nix::PathInfo> info) -> Result<void> {
    if (info) tops.push_back(std::move(info->node));
    if (tops.size() == kFoldersMax) return fail(ErrorKind::kCancelled, "these will do");
    return {};
  });
  return profile_content(ctx, directories, tops);
}

}  // namespace castore::fs
