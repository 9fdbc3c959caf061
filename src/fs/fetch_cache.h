// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/context.h"
#include "base/guarded.h"
#include "base/result.h"
#include "base/single_flight.h"
#include "fs/filesystem.h"

namespace castore::fs {

// What was fetched not long ago, shared and never copied. The least recently used go first when all
// together weigh more than `weight_max`; the last fetched one stays even if it alone is heavier, as
// it is about to be asked again. Callers that miss the same thing at the same time fetch it once.
//
//   Threads   any method, any thread. No lock is held during a fetch, nor while a value is freed.
//   Absence   a null from `fetch`, and not remembered: it may be there later.
template <typename Key, typename Value>
class FetchCache {
 public:
  using Entry = std::shared_ptr<const Value>;
  using Weigh = size_t (*)(const Value&);

  FetchCache(size_t weight_max, Weigh weigh) : weight_max_(weight_max), weigh_(weigh) {}

  // `fetch` gives a Result<Entry>.
  template <typename Fetch>
  Result<Entry> get(const Context& ctx, const Key& key, Fetch fetch) {
    if (Entry entry = find(key)) {
      hits_.fetch_add(1, std::memory_order_relaxed);
      return entry;
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    return fetches_.run(ctx, key, [&]() -> Result<Entry> {
      // Another fetch may have ended between the look above and now.
      if (Entry entry = find(key)) return entry;
      Entry entry = CASTORE_TRY(fetch());
      if (entry) keep(key, entry);
      return entry;
    });
  }

  // Forgets what is not needed any more. Those who have it keep it.
  void drop(const Key& key) {
    ByUse dropped;  // freed without the lock
    auto state = state_.lock();
    auto found = state->by_key.find(key);
    if (found == state->by_key.end()) return;
    state->weight -= weigh_(*found->second->second);
    dropped.splice(dropped.end(), state->by_use, found->second);
    state->by_key.erase(found);
  }

  // Forgets everything. Those who have something keep it.
  void clear() {
    ByUse dropped;  // freed without the lock
    auto state = state_.lock();
    dropped.swap(state->by_use);
    state->by_key.clear();
    state->weight = 0;
  }

  // Of what is kept now.
  size_t weight() { return state_.lock()->weight; }
  // The same with how it was used; a question that is asked again because it would have waited
  // counts twice.
  CacheUse use() {
    return {.bytes = weight(),
            .hits = hits_.load(std::memory_order_relaxed),
            .misses = misses_.load(std::memory_order_relaxed)};
  }

 private:
  using ByUse = std::list<std::pair<Key, Entry>>;  // latest first
  struct State {
    ByUse by_use;
    std::unordered_map<Key, typename ByUse::iterator> by_key;
    size_t weight = 0;
  };

  Entry find(const Key& key) {
    auto state = state_.lock();
    auto found = state->by_key.find(key);
    if (found == state->by_key.end()) return nullptr;
    state->by_use.splice(state->by_use.begin(), state->by_use, found->second);
    return found->second->second;
  }

  void keep(const Key& key, const Entry& entry) {
    ByUse dropped;
    auto state = state_.lock();
    if (state->by_key.contains(key)) return;
    state->by_use.emplace_front(key, entry);
    state->by_key.emplace(key, state->by_use.begin());
    state->weight += weigh_(*entry);
    while (state->weight > weight_max_ && state->by_use.size() > 1) {
      auto oldest = std::prev(state->by_use.end());
      state->weight -= weigh_(*oldest->second);
      state->by_key.erase(oldest->first);
      dropped.splice(dropped.end(), state->by_use, oldest);
    }
  }

  const size_t weight_max_;
  const Weigh weigh_;
  Guarded<State> state_;
  std::atomic<uint64_t> hits_ = 0;
  std::atomic<uint64_t> misses_ = 0;
  SingleFlight<Key, Entry> fetches_;
};

}  // namespace castore::fs
