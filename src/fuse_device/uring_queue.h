// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "base/unique_fd.h"
#include "fuse/dispatcher.h"

namespace castore::fuse_device {

// One processor's way to the kernel by io_uring (Linux 6.14): requests and answers lie in memory
// that both see, and one system call hands back an answer and fetches the next request.
//
// The kernel sends what a processor asks through that processor's queue, and nothing before there
// is a queue for each processor that there can be. FORGET and INTERRUPT still come through
// /dev/fuse, so a DeviceLoop serves that beside the queues. A request holds its place in the queue
// until it is answered, and there are few: for stores that answer at once.
class UringQueue {
 public:
  enum class End { kUnmounted, kStopped, kFailed };

  // `stop_event` becomes readable when all queues are to end, and outlives the queue.
  UringQueue(std::shared_ptr<const UniqueFd> device, uint16_t processor, int stop_event)
      : device_(std::move(device)), processor_(processor), stop_event_(stop_event) {}

  // Serves until the end, on a thread of its own, which it binds to its processor. `registered` is
  // called once: when the kernel has taken the queue, or with the reason why it has not; then `run`
  // returns.
  End run(fuse::Dispatcher& dispatcher, const std::function<void(Result<void>)>& registered);

 private:
  const std::shared_ptr<const UniqueFd> device_;
  const uint16_t processor_;
  const int stop_event_;
};

// How many processors the machine can have: the number of queues that the kernel wants.
Result<uint16_t> possible_processors();

}  // namespace castore::fuse_device
