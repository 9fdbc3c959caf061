// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

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

struct LongOption {
  std::string name;  // without the dashes in front
  bool needs_value;
};

// The long options of a command, the common ones included: for those who translate from another
// command line, so that an option is declared once.
std::vector<LongOption> long_options(Command& command);

}  // namespace castore::cli
