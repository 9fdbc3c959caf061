// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

// The program as management software for virtual machines starts it: by the path in
// packaging/vhost-user/, with options of vhost-user programs alone and no command.
namespace castore::cli {

inline constexpr std::string_view kVhostUserProgram = "castore-virtiofs";

// The arguments as those of castore: called as kVhostUserProgram, they are of `castore virtiofs`.
std::vector<const char*> with_command(std::span<const char* const> arguments);

}  // namespace castore::cli
