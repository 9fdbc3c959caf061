// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace castore::fuse_device {

// What /proc/self/mountinfo says about one mount.
struct MountLine {
  std::string device;  // "major:minor", one for each filesystem
  std::string mount_point;
  std::string type;  // as "fuse.castore"
  std::string source;
};

// The mount that a user of `path` meets: the last one on exactly that path, in the text of a
// mountinfo file. Lines that cannot be read are passed over.
std::optional<MountLine> find_mount(std::string_view mountinfo, std::string_view path);

// The same, in this process's own table. `path` is absolute and free of symlinks.
Result<std::optional<MountLine>> mount_at(std::string_view path);

}  // namespace castore::fuse_device
