// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>

#include "base/bytes.h"
#include "base/guarded.h"
#include "base/result.h"
#include "fuse/reply.h"
#include "virtiofs/live_ring.h"

namespace castore::virtiofs {

// The longest request that is looked at. What makes sense is far shorter (a name, an attribute's
// value of 64 KiB): of a longer one the beginning is served, which is then found malformed.
inline constexpr size_t kRequestBytesMax = 128 * 1024;

// What the requests of queues are served by.
class RequestServer {
 public:
  virtual ~RequestServer() = default;
  virtual void serve(ByteView request, fuse::ReplySink& sink, MutableByteView scratch) = 0;
  // Asks that the request of this number, which is to be answered later, be answered now.
  virtual void interrupt(uint64_t unique) = 0;
  // The guest broke a queue, which nobody serves any more.
  virtual void queue_failed(Error error) = 0;
};

// The thread that serves one queue: waits for the driver's kick, takes what is available and has it
// served, until it is told to stop.
//
// A request is copied out of guest memory before it is looked at, since the guest can change it at
// any time.
class QueueWorker {
 public:
  struct Options {
    SharedFd kick;              // an event (event_fd.h)
    bool look_at_once = false;  // without waiting for the first kick
    bool indirect = false;      // kRingIndirectDesc was agreed on
  };

  // The thread keeps `server` and `ring`.
  static Result<std::unique_ptr<QueueWorker>> start(std::shared_ptr<RequestServer> server,
                                                    std::shared_ptr<LiveRing> ring,
                                                    const Options& options);

  QueueWorker(const QueueWorker&) = delete;
  QueueWorker& operator=(const QueueWorker&) = delete;
  // Tells the thread to stop, and does not wait.
  ~QueueWorker();

  // Tells the thread to stop after the request at hand, and waits for that. kUnavailable: it takes
  // longer than `grace`; the thread then goes on by itself until it ends.
  Result<void> stop(std::chrono::milliseconds grace);

  // Whether it ever saw the driver's kick.
  bool was_kicked() const;

 private:
  class Run;

  explicit QueueWorker(std::shared_ptr<Run> run) : run_(std::move(run)) {}

  std::shared_ptr<Run> run_;  // shared with the thread
};

}  // namespace castore::virtiofs
