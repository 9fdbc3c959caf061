// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/guarded.h"

namespace castore::fs {

// Allows so much a second and counts the rest: lines of the log, which a failing store must not
// fill, or other work. Any thread.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  explicit RateLimit(uint32_t per_second) : per_second_(per_second) {}

  // Nothing: keep silent. A number: go on, and say that so many were left out before.
  std::optional<uint64_t> allow(Clock::time_point now) {
    auto state = state_.lock();
    if (now - state->second_began >= std::chrono::seconds(1)) {
      state->second_began = now;
      state->allowed = 0;
    }
    if (state->allowed >= per_second_) {
      ++state->left_out;
      return std::nullopt;
    }
    ++state->allowed;
    return std::exchange(state->left_out, 0);
  }

 private:
  struct State {
    Clock::time_point second_began;
    uint32_t allowed = 0;
    uint64_t left_out = 0;
  };

  const uint32_t per_second_;
  Guarded<State> state_;
};

}  // namespace castore::fs
