// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/content_profile.h"

#include <deque>

#include "digest/digest.h"

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
                               const Directory& top) {
  ContentProfile profile;
  std::deque<Digest> folders;
  uint64_t entries = 0;
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
  look_at(top);
  for (size_t looked_at = 0; looked_at < kFoldersMax && !folders.empty(); ++looked_at) {
    auto directory = directories.get(ctx, folders.front());
    folders.pop_front();
    if (directory && *directory) look_at(**directory);
  }
  return profile;
}

}  // namespace castore::fs
