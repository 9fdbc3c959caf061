// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "base/error.h"

namespace castore::cli {

// What the process says to the shell; castore(1) and `--help` carry the same list. A command that a
// signal stopped ends with 128 and the signal's number instead, as shells count.
enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,  // it could not be done; the reason is on standard error
  kUsage = 2,    // the command line is wrong
  kDamage = 3,   // stored data is damaged, or `doctor` found something that needs attention
};

inline constexpr int kExitBySignal = 128;

// The one place where failures become exit codes.
inline ExitCode exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kCorrupt:
      return ExitCode::kDamage;
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kNotFound:
    case ErrorKind::kUnavailable:
    case ErrorKind::kDenied:
    case ErrorKind::kExhausted:
    case ErrorKind::kUnsupported:
    case ErrorKind::kCancelled:
    case ErrorKind::kWouldWait:
    case ErrorKind::kInternal:
      return ExitCode::kFailure;
  }
  return ExitCode::kFailure;
}

}  // namespace castore::cli
