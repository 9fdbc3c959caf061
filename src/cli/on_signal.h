// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::cli {

// Keeps a signal from the process until somebody watches for it. Before the process has other
// threads, since these inherit it.
void hold_back_signal(int signal_number);

// Runs an action each time a signal comes, by a thread of its own: also while all others are busy
// or stuck. One that came since `hold_back_signal` counts.
class OnSignal {
 public:
  static Result<std::unique_ptr<OnSignal>> watch(int signal_number, std::function<void()> action);
  OnSignal(const OnSignal&) = delete;
  OnSignal& operator=(const OnSignal&) = delete;
  // The action is over then.
  ~OnSignal();

 private:
  OnSignal(UniqueFd signals, UniqueFd end, std::function<void()> action);
  void run();

  UniqueFd signals_;  // a signalfd
  UniqueFd end_;      // an eventfd; readable: leave
  std::function<void()> action_;
  std::thread thread_;
};

}  // namespace castore::cli
