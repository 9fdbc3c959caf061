// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

// The program as mount(8)'s helper for the type `castore`.
namespace castore::cli {

// Whether a program called like this is to be the helper: mount.castore, and mount.fuse.castore
// for those who write the type as the mount table shows it.
bool is_mount_helper(std::string_view program);

// Does what mount(8) asks, by way of a command line for castore, and gives the exit code that
// mount(8) expects. `run` runs such a command line and gives its exit code.
using RunCastore = std::function<int(std::span<const char* const> command_line)>;
int run_mount_helper(std::span<const char* const> arguments, const RunCastore& run);

}  // namespace castore::cli
