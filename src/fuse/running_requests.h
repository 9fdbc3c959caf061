// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <stop_token>

#include "base/guarded.h"

namespace castore::fuse {

// The requests being worked on, so that one whose asker was killed can be told to stop.
//
// With several threads reading, the INTERRUPT of a request may be seen before the request itself.
// Such interrupts are remembered, the latest few of them: a number is never used twice, so one that
// came too late instead does no harm.
//
//   Threads  any method, any thread.
class RunningRequests {
 public:
  // One request while it runs.
  class Scope {
   public:
    Scope(RunningRequests& owner, uint64_t unique);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

    std::stop_token token() const { return entry_->stop.get_token(); }
    void stop() { entry_->stop.request_stop(); }

   private:
    friend RunningRequests;
    struct Entry {
      uint64_t unique;
      std::stop_source stop;
    };

    RunningRequests& owner_;
    std::list<Entry>::iterator entry_;
  };

  void interrupt(uint64_t unique);

  // Stops all that run, and all that begin later.
  void stop_all();

 private:
  struct State {
    std::list<Scope::Entry> running;  // as many as there are threads
    std::deque<uint64_t> early_interrupts;
    bool stopped = false;
  };

  Guarded<State> state_;
};

}  // namespace castore::fuse
