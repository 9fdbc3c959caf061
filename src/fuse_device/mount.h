// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "fuse_device/mount_table.h"

namespace castore::fuse_device {

// What mounts of this program are called in the mount table.
inline constexpr std::string_view kFilesystemType = "fuse.castore";

struct MountOptions {
  std::string mount_point;         // an existing folder
  std::string source = "castore";  // what the mount table says is mounted
  bool allow_other = false;        // also for users other than the one who mounts
};

// A mount that exists, and the kernel's end of its connection.
struct Mounted {
  UniqueFd device;          // non-blocking; INIT waits in it
  std::string mount_point;  // absolute, without symlinks
  std::string number;       // of the filesystem: "major:minor" in the mount table
};

// Mounts: as root by itself, otherwise through fusermount3. Read-only, and without set-user-ID
// programs, devices and access times. A dead castore mount in the way is unmounted first, which the
// log says.
//
// kInvalidArgument: the mount point is no folder, or shows a castore mount already. kDenied: who
// may do it, and how. kUnsupported: this machine has no FUSE.
Result<Mounted> mount(const MountOptions& options);

// Ends a mount of this process. The kernel gives up on requests that are still running only when
// the last descriptor of the connection is closed: cut those off first. Nobody sees the mount
// afterwards, though programs with files open in it keep it from going away. Fine when it is gone.
Result<void> unmount_own(const std::string& mount_point, const std::string& number);

// The castore mount that stands at `path`, dead ones too.
//
// kInvalidArgument: nothing, or something else, is mounted there.
Result<MountLine> castore_mount_at(const std::string& path);

// Ends any castore mount, whether its server lives or not. Without `lazy` it fails while programs
// use one that lives (kUnavailable); with it, it disappears at once and ends when they do.
//
// kInvalidArgument: as above.
Result<void> unmount(const std::string& path, bool lazy);

}  // namespace castore::fuse_device
