// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>

namespace castore::transfer {

// How much of something scarce several pieces of work that run side by side may hold together.
//
// It only counts, and nobody waits for another: who finds it spent and holds some waits for that to
// come back, and who holds none goes on. So everybody gets on, and each exceeds it by one portion
// at most. Any thread.
class Budget {
 public:
  explicit Budget(size_t most) : most_(most) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  size_t most() const { return most_; }
  bool is_spent() const { return held_.load(std::memory_order_relaxed) >= most_; }

  void take(size_t amount) { held_.fetch_add(amount, std::memory_order_relaxed); }
  void give_back(size_t amount) { held_.fetch_sub(amount, std::memory_order_relaxed); }

 private:
  const size_t most_;
  std::atomic<size_t> held_ = 0;
};

}  // namespace castore::transfer
