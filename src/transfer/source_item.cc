// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/source_item.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "model/name.h"
#include "transfer/message_path.h"

namespace castore::transfer {
namespace {

// Filesystems that are written by the kernel that looks at them, and set the ctime by its clock.
// Not overlayfs, which may stand on an image. As in <linux/magic.h>, where they are there.
constexpr std::array<uint64_t, 7> kLastingFilesystems = {
    EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC,
    0x2FC12FC1,  // ZFS
    0xCA451A4E,  // bcachefs
};
constexpr unsigned kLoopMajor = 7;  // a block device that is a file: an image, as a rule

}  // namespace

std::optional<SourceFilesystem> lasting_filesystem(int fd) {
  struct stat status;
  struct statfs filesystem;
  if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &filesystem) != 0) return std::nullopt;
  const auto type = static_cast<uint32_t>(filesystem.f_type);
  if (std::ranges::find(kLastingFilesystems, type) == kLastingFilesystems.end() ||
      (filesystem.f_flags & ST_RDONLY) != 0 || major(status.st_dev) == kLoopMajor)
    return std::nullopt;
  SourceFilesystem found{.device = status.st_dev};
  static_assert(sizeof filesystem.f_fsid == sizeof found.id);
  std::memcpy(&found.id, &filesystem.f_fsid, sizeof found.id);
  return found;
}

// Lets go of a chain of parents one after the other; left to itself it would recurse as deep as
// the tree is.
SourcePlace::~SourcePlace() {
  std::shared_ptr<SourcePlace> ancestor = std::move(parent);
  while (ancestor && ancestor.use_count() == 1) ancestor = std::exchange(ancestor->parent, nullptr);
}

std::string SourceFolder::path_of(std::string_view entry) const {
  if (!place) return std::string(entry);  // the root, as the user wrote it
  std::vector<const SourcePlace*> places;
  for (const SourcePlace* at = place.get(); at; at = at->parent.get()) places.push_back(at);
  std::string path = places.back()->name;
  places.pop_back();
  for (; !places.empty(); places.pop_back()) {
    if (!path.ends_with('/')) path += '/';
    path += printable(places.back()->name);
  }
  if (!path.ends_with('/')) path += '/';
  return message_path(path + printable(entry));
}

}  // namespace castore::transfer
