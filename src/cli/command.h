// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string_view>

#include "base/result.h"
#include "cli/exit_code.h"
#include "cli/option_set.h"
#include "cli/session.h"

namespace castore::cli {

// What the help says of a command.
struct About {
  std::string_view name;
  std::string_view group;    // the heading it stands under in `castore --help`
  std::string_view summary;  // one line
  std::string_view more;     // examples and rules, below the options in the command's own help
};

// One command of the program: its options are its members.
class Command {
 public:
  virtual ~Command() = default;

  virtual About about() const = 0;

  // Says which option fills which member.
  virtual void declare(OptionSet& options) = 0;

  // Whether it opens the services: where it does not, their addresses are not looked at.
  virtual bool uses_store() const { return true; }

  // What is wrong with the command line that the parser of options cannot see. Before anything is
  // done; an error of it is one of usage.
  virtual Result<void> check(const Session& /*session*/) const { return {}; }

  // Called once, after the options are read and checked. No thread but the calling one exists then,
  // and no store is open.
  virtual Result<ExitCode> run(Session& session) = 0;
};

}  // namespace castore::cli
