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

// How much a FetchCache keeps. Values of `heavy_from` and more, of which a few would leave no room
// for anything else, have a room of their own, so that neither kind drives the other out.
struct FetchCacheRoom {
  size_t weight_max = 0;
  size_t heavy_from = SIZE_MAX;
  size_t heavy_weight_max = 0;
};

// What was fetched not long ago, shared and never copied. The least recently used go first when all
// in one room together weigh more than it takes; the last fetched one stays even if it alone is
// heavier, as it is about to be asked again. Callers that miss the same thing at the same time
// fetch it once.
//
//   Threads   any method, any thread. No lock is held during a fetch, nor while a value is freed.
//   Absence   a null from `fetch`, and not remembered: it may be there later.
template <typename Key, typename Value>
class FetchCache {
 public:
  using Entry = std::shared_ptr<const Value>;
  using Weigh = size_t (*)(const Value&);

  FetchCache(const FetchCacheRoom& room, Weigh weigh) : room_(room), weigh_(weigh) {}

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
    take_out(*state, found->second, dropped);
  }

  // Forgets everything. Those who have something keep it.
  void clear() {
    State dropped;  // freed without the lock
    std::swap(dropped, *state_.lock());
  }

  // Of what is kept now.
  size_t weight() {
    auto state = state_.lock();
    return state->light.weight + state->heavy.weight;
  }
  // The same with how it was used; a question that is asked again because it would have waited
  // counts twice.
  CacheUse use() {
    return {.bytes = weight(),
            .hits = hits_.load(std::memory_order_relaxed),
            .misses = misses_.load(std::memory_order_relaxed)};
  }

 private:
  using ByUse = std::list<std::pair<Key, Entry>>;  // latest first
  struct Room {
    ByUse by_use;
    size_t weight = 0;
  };
  struct State {
    Room light;
    Room heavy;
    std::unordered_map<Key, typename ByUse::iterator> by_key;
  };

  bool is_heavy(const Entry& entry) const { return weigh_(*entry) >= room_.heavy_from; }
  Room& room_of(State& state, const Entry& entry) const {
    return is_heavy(entry) ? state.heavy : state.light;
  }

  Entry find(const Key& key) {
    auto state = state_.lock();
    auto found = state->by_key.find(key);
    if (found == state->by_key.end()) return nullptr;
    ByUse& by_use = room_of(*state, found->second->second).by_use;
    by_use.splice(by_use.begin(), by_use, found->second);
    return found->second->second;
  }

  void keep(const Key& key, const Entry& entry) {
    const size_t weight_max = is_heavy(entry) ? room_.heavy_weight_max : room_.weight_max;
    ByUse dropped;
    auto state = state_.lock();
    if (state->by_key.contains(key)) return;
    Room& room = room_of(*state, entry);
    room.by_use.emplace_front(key, entry);
    state->by_key.emplace(key, room.by_use.begin());
    room.weight += weigh_(*entry);
    while (room.weight > weight_max && room.by_use.size() > 1)
      take_out(*state, std::prev(room.by_use.end()), dropped);
  }

  void take_out(State& state, typename ByUse::iterator place, ByUse& dropped) {
    Room& room = room_of(state, place->second);
    room.weight -= weigh_(*place->second);
    state.by_key.erase(place->first);
    dropped.splice(dropped.end(), room.by_use, place);
  }

  const FetchCacheRoom room_;
  const Weigh weigh_;
  Guarded<State> state_;
  std::atomic<uint64_t> hits_ = 0;
  std::atomic<uint64_t> misses_ = 0;
  SingleFlight<Key, Entry> fetches_;
};

}  // namespace castore::fs
