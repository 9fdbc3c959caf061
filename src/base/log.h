// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

#include "base/result.h"

// Logging goes through spdlog's default logger: spdlog::info("..."), spdlog::warn("..."). Lines go
// to standard error, so results on standard output stay clean.
//
//   Threads   anybody logs at any time. What is declared here replaces the logger, which nobody may
//             use meanwhile: call it before the process has other threads.
namespace castore {

// Sets the form of log lines and the level: trace, debug, info, warn, error or off.
Result<void> set_up_logging(std::string_view level);

// Sends log lines to `path` (appending) instead of standard error, as for a process in the
// background.
Result<void> log_to_file(const std::string& path);

// Sends log lines to syslog (facility daemon, as `ident`) as well as to standard error, as for a
// process that is to go to the background: whoever started it sees the lines until its standard
// error leads nowhere.
void log_to_syslog(const std::string& ident);

}  // namespace castore
