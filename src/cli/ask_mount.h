// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace castore::cli {

// A castore mount and what its server says of it.
struct MountAnswer {
  std::string mount_point;  // absolute, without symlinks
  std::string source;
  std::string report;  // as from `mount_report`
};

// Asks the castore mount at `path`, whichever process serves it. A server that hangs, or was
// stopped, does not hold up the caller: a process of its own asks, which is given up after some
// seconds. Forks: not with other threads about.
//
// kInvalidArgument: no castore mount is there. kUnavailable: it is dead, or does not answer.
// kDenied: it is not open to this user. kUnsupported: its server is older and says nothing.
Result<MountAnswer> ask_mount(const std::string& path);

}  // namespace castore::cli
