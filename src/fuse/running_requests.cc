// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/running_requests.h"

#include <algorithm>
#include <vector>

namespace castore::fuse {
namespace {

constexpr size_t kEarlyInterruptsMax = 64;

}  // namespace

RunningRequests::Scope::Scope(RunningRequests& owner, uint64_t unique) : owner_(owner) {
  std::list<Entry> fresh;
  fresh.push_back({.unique = unique, .stop = std::stop_source()});
  entry_ = fresh.begin();

  auto state = owner_.state_.lock();
  bool stopped = state->stopped || std::erase(state->early_interrupts, unique) > 0;
  state->running.splice(state->running.end(), fresh);
  // Nobody listens yet, so nothing runs under the lock.
  if (stopped) entry_->stop.request_stop();
}

RunningRequests::Scope::~Scope() {
  std::list<Entry> gone;
  auto state = owner_.state_.lock();
  gone.splice(gone.end(), state->running, entry_);
}

void RunningRequests::interrupt(uint64_t unique) {
  std::vector<std::stop_source> found;
  {
    auto state = state_.lock();
    for (const Scope::Entry& entry : state->running)
      if (entry.unique == unique) found.push_back(entry.stop);
    if (found.empty()) {
      state->early_interrupts.push_back(unique);
      if (state->early_interrupts.size() > kEarlyInterruptsMax) state->early_interrupts.pop_front();
    }
  }
  // Listeners run in here, and may take locks of their own.
  for (std::stop_source& stop : found) stop.request_stop();
}

void RunningRequests::stop_all() {
  std::vector<std::stop_source> found;
  {
    auto state = state_.lock();
    state->stopped = true;
    for (const Scope::Entry& entry : state->running) found.push_back(entry.stop);
  }
  for (std::stop_source& stop : found) stop.request_stop();
}

}  // namespace castore::fuse
