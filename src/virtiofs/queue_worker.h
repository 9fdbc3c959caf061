// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <thread>

#include "base/result.h"
#include "virtiofs/live_ring.h"
#include "virtiofs/ring_server.h"

namespace castore::virtiofs {

// The thread that serves one queue: waits for the driver's kick and has what is available served,
// until it is told to stop.
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

  // Tells the thread to stop after the request at hand, and waits until nothing of it is left; done
  // once. kUnavailable: it takes longer than `grace`; the thread then goes on by itself until it
  // ends.
  Result<void> stop(std::chrono::milliseconds grace);

  // Whether it ever saw the driver's kick.
  bool was_kicked() const;

 private:
  class Run;

  explicit QueueWorker(std::shared_ptr<Run> run);

  std::shared_ptr<Run> run_;  // shared with the thread
  std::thread thread_;
};

}  // namespace castore::virtiofs
