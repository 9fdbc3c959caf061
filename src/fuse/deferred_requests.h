// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/context.h"
#include "fuse/reply.h"
#include "fuse/running_requests.h"

namespace castore::fuse {

// Requests that have to wait for a slow store, served by threads of their own, so that those which
// read requests from the kernel never wait.
//
// Each is answered once: by the thread that serves it, with EINTR as soon as it is interrupted, or
// with an error when its time is over, whatever the store does meanwhile. What comes of it after
// that is taken back as an answer that was not delivered is.
//
//   Threads   any method, any thread. As many threads as are needed are started, at most
//             `threads_max`; one that the store has not given back in time counts no longer, until
//             there are four times as many. Then requests wait for their time to be over.
//   Memory    that of the requests which are waiting or running; nothing of those answered.
//   Blocking  no method but `close`.
class DeferredRequests {
 public:
  struct Options {
    size_t threads_max = 64;
    std::chrono::milliseconds timeout = std::chrono::seconds(60);
  };

  // One request. Holds whatever it needs until it is done, which may be after everything else.
  class Work {
   public:
    virtual ~Work() = default;
    // May wait as long as `ctx` lets it.
    virtual void serve(const Context& ctx, ReplySink& sink) = 0;
    // For people: what is asked of what.
    virtual std::string describe() const = 0;
  };

  struct Counts {
    size_t queued = 0;
    size_t running = 0;
    size_t stuck = 0;    // of those running, beyond their time
    size_t in_time = 0;  // of all, within it
    size_t threads = 0;
    uint64_t timeouts = 0;  // since the beginning
  };

  explicit DeferredRequests(Options options);
  DeferredRequests(const DeferredRequests&) = delete;
  DeferredRequests& operator=(const DeferredRequests&) = delete;
  // Lets the threads go; those that are stuck end when the store lets them.
  ~DeferredRequests();

  // `work` keeps `running` alive.
  void submit(uint64_t unique, std::unique_ptr<Work> work, std::unique_ptr<ReplySink> sink,
              RunningRequests& running);

  // Takes no more requests, and waits until all threads have ended. False when that takes longer
  // than `grace`.
  bool close(std::chrono::milliseconds grace);

  Counts counts();

 private:
  struct Job;
  struct State;

  const std::shared_ptr<State> state_;
};

}  // namespace castore::fuse
