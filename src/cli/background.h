// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>

#include "base/result.h"

namespace castore::cli {

// Runs `serve` in a process of its own and returns in this one when `serve` calls `ready`, or with
// the error it gives before that. The new process has a session of its own; `ready` also takes it
// away from the terminal, the working folder and the standard streams.
//
// When the process that waits is gone by then (an impatient Ctrl-C), `ready` is kCancelled: nobody
// wants the service any more. What `serve` gives after `ready` goes to the log.
//
// Forks: before the process has other threads, and before it opens a store.
using Ready = std::function<Result<void>()>;
Result<void> run_in_background(const std::function<Result<void>(const Ready& ready)>& serve);

}  // namespace castore::cli
