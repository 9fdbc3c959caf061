// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace castore {

// Data that can be reached only while its lock is held.
//
//   Guarded<State> state_;
//   auto state = state_.lock();
//   state->count++;
//
// No service call, file operation or reply is made while a handle lives.
template <typename T>
class Guarded {
 public:
  class Handle {
   public:
    T* operator->() const { return &owner_->value_; }
    T& operator*() const { return owner_->value_; }

    // Gives the lock up until `ready()` holds; the caller's condition is notified after changes.
    template <typename Ready>
    void wait(std::condition_variable& condition, Ready ready) {
      condition.wait(lock_, std::move(ready));
    }

    // The same for at most `duration`; false when that passed first.
    template <typename Duration, typename Ready>
    bool wait_for(std::condition_variable& condition, Duration duration, Ready ready) {
      return condition.wait_for(lock_, duration, std::move(ready));
    }

    // For a section that must run without the lock, as a slow call in the middle of a loop.
    void unlock() { lock_.unlock(); }
    void relock() { lock_.lock(); }

   private:
    friend Guarded;
    explicit Handle(Guarded* owner) : owner_(owner), lock_(owner->mutex_) {}

    Guarded* owner_;
    std::unique_lock<std::mutex> lock_;
  };

  template <typename... Args>
  explicit Guarded(Args&&... args) : value_{std::forward<Args>(args)...} {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  [[nodiscard]] Handle lock() { return Handle(this); }

 private:
  std::mutex mutex_;
  T value_;
};

}  // namespace castore
