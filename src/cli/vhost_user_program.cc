// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/vhost_user_program.h"

namespace castore::cli {

std::vector<const char*> with_command(std::span<const char* const> arguments) {
  std::vector<const char*> with(arguments.begin(), arguments.end());
  if (with.empty()) return with;
  const std::string_view program = with[0];
  if (program.substr(program.rfind('/') + 1) == kVhostUserProgram)
    with.insert(with.begin() + 1, "virtiofs");
  return with;
}

}  // namespace castore::cli
