// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command_line.h"

namespace castore::cli {

// What mount(8) asks of its helper for a file system type, in words of this program.
struct MountCall {
  std::vector<std::string> command_line;  // of `castore mount`, the program's name included
  std::string target;
  std::optional<std::string> mount_namespace;  // a file that stands for it
  uint64_t attributes = 0;                     // MOUNT_ATTR_... to set once it is mounted
  bool fake = false;                           // do everything but mount
  bool verbose = false;
  std::vector<std::string> warnings;
};

// Reads a helper's arguments, its name first. `offered` are the options of `castore mount`: each
// may stand after -o, so that there is one place where they are declared.
//
// kInvalidArgument: what is wrong, and what would be right.
Result<MountCall> read_mount_call(std::span<const char* const> arguments,
                                  std::span<const LongOption> offered);

}  // namespace castore::cli
