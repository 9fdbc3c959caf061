// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

// fusermount3, the setuid program that mounts and unmounts FUSE filesystems for ordinary users.
// kUnsupported when it is not installed; its own words are in the errors.
namespace castore::fuse_device {

// Mounts and gives the descriptor of the new connection. `options` are as of mount(8).
Result<UniqueFd> fusermount_mount(const std::string& mount_point, const std::string& options);

Result<void> fusermount_unmount(const std::string& mount_point, bool lazy);

// A value as it stands in an option list, where commas part the options.
std::string escape_option(const std::string& value);

}  // namespace castore::fuse_device
