// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <signal.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::cli {

// Turns the first SIGINT, SIGTERM or SIGHUP into a stop request. The second ends the process at
// once, and so does the end of `grace` where there is one: work that waits for a slow peer or a
// silent pipe need not notice the request, and a store is safe to leave at any moment.
//
// Signals that were ignored when the process started (nohup, background jobs of a script) stay so.
// Made before the process has other threads, since these inherit the blocked signals.
class StopOnSignal {
 public:
  static Result<std::unique_ptr<StopOnSignal>> watch(std::optional<std::chrono::seconds> grace);
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  ~StopOnSignal();

  std::stop_token token() const { return source_.get_token(); }

  // The signal that came, or 0.
  int caught() const { return caught_; }

 private:
  StopOnSignal(std::optional<std::chrono::seconds> grace, const sigset_t& blocked_before,
               UniqueFd signals, UniqueFd end);
  void run();

  const std::optional<std::chrono::seconds> grace_;
  const sigset_t blocked_before_;
  UniqueFd signals_;  // a signalfd
  UniqueFd end_;      // an eventfd; readable: leave
  std::stop_source source_;
  std::atomic<int> caught_ = 0;
  std::thread thread_;
};

}  // namespace castore::cli
