// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/context.h"
#include "base/result.h"

namespace castore {

// Joins callers that want the same thing at the same time: the first works, the others wait and
// share what it got, its failure included. Nothing is remembered after that.
//
//   Threads   any thread; the work runs on the first caller's, without a lock.
//   Waiting   ends at the waiter's own stop or deadline. A worker that fails because of its own
//             stop or deadline leaves the work to the next waiter, and one that goes on beyond its
//             deadline is not joined any more: who comes then works anew. A caller that may not
//             wait joins only a worker that may not either, and works by itself beside another;
//             one that may wait takes over from a worker that would have had to.
template <typename Key, typename Value>
class SingleFlight {
 public:
  // `work` gives a Result<Value>.
  template <typename Work>
  Result<Value> run(const Context& ctx, const Key& key, Work work) {
    for (;;) {
      std::unique_lock lock(mutex_);
      auto [place, is_first] = flights_.try_emplace(key);
      if (!is_first && place->second->deadline <= std::chrono::steady_clock::now()) is_first = true;
      if (is_first) place->second = std::make_shared<Flight>(ctx);
      std::shared_ptr<Flight> flight = place->second;
      if (is_first) {
        lock.unlock();
        Landing landing{*this, key, *flight, std::nullopt};
        Result<Value> result = work();
        if (result || ctx.check()) landing.result = result;
        return result;
      }
      if (flight->may_wait && !ctx.may_wait) {
        lock.unlock();
        return work();
      }
      CASTORE_TRY(wait(ctx, lock, *flight));
      if (flight->result && !(ctx.may_wait && would_wait(*flight->result))) return *flight->result;
    }
  }

 private:
  struct Flight {
    explicit Flight(const Context& ctx) : deadline(ctx.deadline), may_wait(ctx.may_wait) {}

    const std::chrono::steady_clock::time_point deadline;
    const bool may_wait;
    bool landed = false;
    std::optional<Result<Value>> result;  // none: given up, somebody else should try
  };

  // Ends a flight however the work is left.
  struct Landing {
    SingleFlight& owner;
    const Key& key;
    Flight& flight;
    std::optional<Result<Value>> result;

    ~Landing() {
      {
        std::lock_guard lock(owner.mutex_);
        flight.result = std::move(result);
        flight.landed = true;
        // Another may have taken its place.
        auto place = owner.flights_.find(key);
        if (place != owner.flights_.end() && place->second.get() == &flight)
          owner.flights_.erase(place);
      }
      owner.landed_.notify_all();
    }
  };

  static bool would_wait(const Result<Value>& result) {
    return !result && result.error().kind() == ErrorKind::kWouldWait;
  }

  Result<void> wait(const Context& ctx, std::unique_lock<std::mutex>& lock, const Flight& flight) {
    auto landed = [&] { return flight.landed; };
    bool arrived = ctx.deadline == std::chrono::steady_clock::time_point::max()
                       ? landed_.wait(lock, ctx.stop, landed)
                       : landed_.wait_until(lock, ctx.stop, ctx.deadline, landed);
    if (arrived) return {};
    return ctx.check();
  }

  std::mutex mutex_;
  std::condition_variable_any landed_;
  std::unordered_map<Key, std::shared_ptr<Flight>> flights_;
};

}  // namespace castore
