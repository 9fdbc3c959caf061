// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/live_ring.h"

#include <utility>

#include "base/check.h"
#include "virtiofs/event_fd.h"

namespace castore::virtiofs {

void LiveRing::set_call(SharedFd call) {
  std::swap(state_.lock()->call, call);  // the old one is closed without the lock
}

void LiveRing::start(SplitRing ring) {
  auto state = state_.lock();
  ++state->epoch;
  state->ring.emplace(std::move(ring));
}

bool LiveRing::is_started() {
  return state_.lock()->ring.has_value();
}

Result<void> LiveRing::move_to(const RingPlace& place, std::shared_ptr<const GuestMemory> memory) {
  auto state = state_.lock();
  CASTORE_CHECK(state->ring, "only a started ring moves");
  // Not while a part of an answer is in the old memory, and the rest is not.
  state.wait(answered_, [&] { return state->answers == 0; });
  return state->ring->move_to(place, std::move(memory));
}

uint16_t LiveRing::end() {
  std::optional<SplitRing> ended;
  {
    auto state = state_.lock();
    ++state->epoch;
    state.wait(answered_, [&] { return state->answers == 0; });
    ended.swap(state->ring);
  }
  return ended ? ended->next() : 0;
}

Result<std::optional<LiveRing::Taken>> LiveRing::take() {
  auto state = state_.lock();
  if (!state->ring) return std::nullopt;
  SplitRing& ring = *state->ring;
  ring.hold_notifications();
  auto head = CASTORE_TRY(ring.take());
  if (!head) return std::nullopt;
  return Taken{.head = *head,
               .epoch = state->epoch,
               .memory = ring.memory(),
               .descriptors = ring.descriptors()};
}

bool LiveRing::want_notifications() {
  auto state = state_.lock();
  return state->ring && state->ring->want_notifications();
}

bool LiveRing::begin_answer(uint64_t epoch) {
  auto state = state_.lock();
  if (epoch != state->epoch) return false;
  ++state->answers;
  return true;
}

void LiveRing::end_answer(const Taken& taken, uint32_t bytes) {
  SharedFd call;
  {
    auto state = state_.lock();
    --state->answers;
    // The ring waits for the answers that have begun.
    state->ring->give_back(taken.head, bytes);
    if (state->ring->must_interrupt()) call = state->call;
  }
  answered_.notify_all();
  if (call) raise_event(call->get());
}

void LiveRing::add_kept(uint64_t unique) {
  state_.lock()->kept.insert(unique);
}

void LiveRing::remove_kept(uint64_t unique) {
  auto state = state_.lock();
  if (auto found = state->kept.find(unique); found != state->kept.end()) state->kept.erase(found);
}

std::vector<uint64_t> LiveRing::kept() {
  auto state = state_.lock();
  return {state->kept.begin(), state->kept.end()};
}

bool LiveRing::wait_until_answered(std::chrono::milliseconds grace) {
  auto state = state_.lock();
  return state.wait_for(answered_, grace,
                        [&] { return !state->ring || state->ring->in_flight() == 0; });
}

}  // namespace castore::virtiofs
