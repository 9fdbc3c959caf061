// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <stop_token>

#include "base/result.h"

namespace castore {

// Who asks, and for how long. The first parameter of every service call; cheap to copy, safe to
// share between threads.
struct Context {
  enum class Cause { kCommand, kMount };

  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::stop_token stop;
  Cause cause = Cause::kCommand;
  // False: answer from memory or the local disk, or fail with kWouldWait before anything that may
  // take longer, as a network does. The caller then asks again from where it can wait.
  bool may_wait = true;

  bool stop_requested() const { return stop.stop_requested(); }

  // kCancelled once a stop was requested, kUnavailable once the deadline passed. Long loops call
  // it.
  Result<void> check() const {
    if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "interrupted");
    if (deadline != std::chrono::steady_clock::time_point::max() &&
        std::chrono::steady_clock::now() >= deadline)
      return fail(ErrorKind::kUnavailable, "the time allowed for this is over");
    return {};
  }
};

}  // namespace castore
