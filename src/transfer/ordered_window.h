// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "transfer/budget.h"

namespace castore::transfer {

// A bounded queue for a pipeline that keeps its order: one producer adds items, several workers
// take them in that order and finish them in any, one consumer gets them finished and in order.
//
//   Bounds    at most `item_count_max` items are inside. Finished items hold bytes, and an item in
//             a worker's hands counts as `item_bytes_max`. No work is given out while the budget of
//             bytes, which windows may share, is spent; but a window that holds none of it gives
//             out one item in any case. Whatever was given out gets finished without more room, so
//             the consumer gets on.
//   Waiting   the consumer sleeps until the last item in hand is finished rather than the first,
//             and gives room back for many items at a time: a thread switch for each of 80,000
//             small items would cost more than the items.
//   Threads   `add` and `end`: the producer. `take` and `finish`: any worker. `next`: the consumer.
//             `close`: anybody.
template <typename Item>
class OrderedWindow {
 public:
  // An item in a worker's hands, and its place in the order.
  struct Taken {
    uint64_t number;
    Item* item;
  };

  // `budget` outlives the window.
  OrderedWindow(size_t item_count_max, Budget& budget, size_t item_bytes_max)
      : budget_(budget),
        item_bytes_max_(item_bytes_max),
        places_(item_count_max),
        state_(item_count_max) {}
  OrderedWindow(const OrderedWindow&) = delete;
  OrderedWindow& operator=(const OrderedWindow&) = delete;
  ~OrderedWindow() {
    auto state = state_.lock();
    budget_.give_back(state->bytes + state->in_hand * item_bytes_max_);
  }

  // Waits while the window is full. An item that needs no work is finished at once. False when the
  // window was closed.
  bool add(Item item, bool needs_work) {
    auto state = state_.lock();
    state.wait(room_made_,
               [&] { return state->closed || state->added - state->released < places_.size(); });
    if (state->closed) return false;
    const uint64_t number = state->added++;
    place(number) = {.item = std::move(item), .bytes = 0};
    state->finished[number % places_.size()] = !needs_work;
    const bool wake_worker = needs_work && state->idle_workers > 0;
    const bool wake_consumer = !needs_work && state->awaited == number;
    state.unlock();
    if (wake_worker) work_added_.notify_one();
    if (wake_consumer) finished_.notify_one();
    return true;
  }

  // There will be no more items.
  void end() {
    state_.lock()->ended = true;
    work_added_.notify_all();
    finished_.notify_all();
  }

  // Waits for work. Nothing when there will be none any more.
  std::optional<Taken> take() {
    auto state = state_.lock();
    ++state->idle_workers;
    bool found = false;  // asked once: a window beside this one may change the answer
    state.wait(work_added_, [&] { return (found = find_work(*state)) || is_over(*state); });
    --state->idle_workers;
    if (!found) {
      // Others may sleep for want of room, and nothing else would tell them that all is taken.
      state.unlock();
      work_added_.notify_all();
      return std::nullopt;
    }
    const uint64_t number = state->taken++;
    ++state->in_hand;
    budget_.take(item_bytes_max_);
    return Taken{number, &place(number).item};
  }

  // Hands an item back. It holds `bytes` bytes until the consumer has done with it. `is_last`: work
  // on later items is not wanted, and the consumer stops at this one.
  void finish(const Taken& taken, size_t bytes, bool is_last) {
    place(taken.number).bytes = bytes;
    auto state = state_.lock();
    state->finished[taken.number % places_.size()] = true;
    --state->in_hand;
    budget_.give_back(item_bytes_max_);
    state->bytes += bytes;
    budget_.take(bytes);
    if (is_last) state->cut = std::min(state->cut, taken.number + 1);
    const bool wake_consumer = state->awaited == taken.number;
    state.unlock();
    if (is_last) work_added_.notify_all();
    if (wake_consumer) finished_.notify_one();
  }

  // Destroys the item given before, waits for the next to be finished, and gives it. Null after the
  // last, and when the window was closed.
  Item* next() {
    if (consumed_ > released_) {
      Place& done = place(consumed_ - 1);
      done.item = Item();
      unreleased_bytes_ += std::exchange(done.bytes, 0);
    }
    const bool wait = consumed_ == finished_until_;
    if (wait || consumed_ - released_ >= places_.size() / 4 ||
        unreleased_bytes_ >= budget_.most() / 8) {
      auto state = state_.lock();
      release(*state);
      if (wait && !wait_for_finished(state)) return nullptr;
    }
    return &place(consumed_++).item;
  }

  // Everybody stops waiting and gives up.
  void close() {
    state_.lock()->closed = true;
    work_added_.notify_all();
    finished_.notify_all();
    room_made_.notify_all();
  }

 private:
  static constexpr uint64_t kNone = UINT64_MAX;

  // Its holder's own, without the lock.
  struct Place {
    Item item;
    size_t bytes = 0;
  };

  struct State {
    explicit State(size_t place_count) : finished(place_count) {}

    std::vector<bool> finished;  // a ring, as places_
    uint64_t released = 0;       // items before this one are gone
    uint64_t taken = 0;          // items before this one are with workers or finished
    uint64_t added = 0;
    uint64_t cut = kNone;      // items from here on are not wanted
    uint64_t awaited = kNone;  // the item whose finishing wakes the consumer
    size_t bytes = 0;          // held by finished items that are not gone
    size_t in_hand = 0;        // items with workers
    size_t idle_workers = 0;
    bool ended = false;
    bool closed = false;
  };

  Place& place(uint64_t number) { return places_[number % places_.size()]; }
  bool is_finished(const State& state, uint64_t number) const {
    return number < state.added && state.finished[number % places_.size()];
  }

  // Moves `taken` over items that need no work; true when the item there may be given out.
  bool find_work(State& state) const {
    while (is_finished(state, state.taken)) ++state.taken;
    const bool has_room = !budget_.is_spent() || (state.bytes == 0 && state.in_hand == 0);
    return !state.closed && state.taken < std::min(state.added, state.cut) && has_room;
  }
  bool is_over(const State& state) const {
    return state.closed || state.taken >= state.cut || (state.ended && state.taken == state.added);
  }

  void release(State& state) {
    state.released = released_ = consumed_;
    const size_t bytes = std::exchange(unreleased_bytes_, 0);
    state.bytes -= bytes;
    budget_.give_back(bytes);
    if (bytes > 0 && state.idle_workers > 0 && find_work(state)) work_added_.notify_all();
    if (state.added - state.released <= places_.size() / 4 * 3) room_made_.notify_one();
  }

  bool wait_for_finished(typename Guarded<State>::Handle& state) {
    while (!is_finished(*state, consumed_)) {
      if (state->closed || (state->ended && consumed_ == state->added)) return false;
      uint64_t last = std::max(state->taken, consumed_ + 1) - 1;
      while (last > consumed_ && is_finished(*state, last)) --last;
      state->awaited = last;
      state.wait(finished_, [&] {
        return is_finished(*state, last) || state->closed ||
               (state->ended && consumed_ == state->added);
      });
    }
    state->awaited = kNone;
    while (is_finished(*state, finished_until_)) ++finished_until_;
    return true;
  }

  Budget& budget_;
  const size_t item_bytes_max_;
  std::vector<Place> places_;  // a ring
  Guarded<State> state_;
  std::condition_variable work_added_;
  std::condition_variable finished_;
  std::condition_variable room_made_;

  // The consumer's own.
  uint64_t consumed_ = 0;        // items given
  uint64_t released_ = 0;        // of those, the ones the others know to be gone
  uint64_t finished_until_ = 0;  // items before this one are known to be finished
  size_t unreleased_bytes_ = 0;
};

}  // namespace castore::transfer
