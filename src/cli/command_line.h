// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <span>

#include "cli/command.h"

namespace castore::cli {

struct CommandLine {
  Command* command = nullptr;
  CommonOptions common;
};

// Reads the command line into the options of the command it names. Otherwise (help, version, or a
// mistake) everything has been printed and the exit code is given.
std::expected<CommandLine, ExitCode> parse_command_line(
    int argc, const char* const* argv, std::span<const std::unique_ptr<Command>> commands);

}  // namespace castore::cli
