// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/guarded.h"
#include "transfer/budget.h"

namespace castore::transfer {

// Bounds how many folders of a source are open at the same time: those that the walk stands in, and
// those that entries on their way to the store are reached through. The process has few descriptors
// for what may be a folder for each file.
//
//   Threads   any method, any thread; slots are given back on any.
//   Blocking  `acquire` waits while there are more than `own_min` slots and the budget is spent.
//   Lifetime  outlives its slots.
class OpenFolders {
 public:
  // The right to have one folder open.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(owner_, other.owner_);
      return *this;
    }
    ~Slot() {
      if (owner_) owner_->release();
    }

   private:
    friend OpenFolders;
    explicit Slot(OpenFolders* owner) : owner_(owner) {}

    OpenFolders* owner_ = nullptr;
  };

  OpenFolders(Budget& budget, size_t own_min) : budget_(budget), own_min_(own_min) {}

  // Nothing once `close` was called.
  std::optional<Slot> acquire() {
    auto state = state_.lock();
    state.wait(slot_released_,
               [&] { return state->closed || state->open < own_min_ || !budget_.is_spent(); });
    if (state->closed) return std::nullopt;
    ++state->open;
    budget_.take(1);
    return Slot(this);
  }

  // Ends the waiting.
  void close() {
    state_.lock()->closed = true;
    slot_released_.notify_all();
  }

 private:
  struct State {
    size_t open = 0;
    bool closed = false;
  };

  void release() {
    budget_.give_back(1);
    --state_.lock()->open;
    slot_released_.notify_one();
  }

  Budget& budget_;
  const size_t own_min_;
  Guarded<State> state_;
  std::condition_variable slot_released_;
};

}  // namespace castore::transfer
