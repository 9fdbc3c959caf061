// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "virtiofs/guest_memory.h"
#include "virtiofs/live_ring.h"
#include "virtiofs/queue_worker.h"

namespace castore::virtiofs {

// One queue of a device, as the front end sets it up: it is served, by a thread of its own, as long
// as all is there that this needs. Settings may come in any order, as front ends differ.
//
// One thread, the connection's.
class GuestQueue {
 public:
  // How long `stop` waits.
  explicit GuestQueue(std::chrono::milliseconds grace) : grace_(grace) {}

  // Each of these may bring what was missing, or take something away.
  //   kInvalidArgument: there is no such size, place or event, or a started queue cannot change so.
  //   kUnavailable: the queue's thread is stuck in the store.
  Result<void> set_size(uint32_t size);
  Result<void> set_base(uint32_t base);
  Result<void> set_place(const RingPlace& place);
  Result<void> set_kick(UniqueFd fd);
  Result<void> set_enabled(bool enabled);
  // All of the guest's memory from now on. A queue that is not in it rests until it is again.
  Result<void> set_memory(std::shared_ptr<const GuestMemory> memory);
  // Of virtio; for the next start.
  void set_features(uint64_t features) { features_ = features; }
  // How the guest is told of answers, and the front end of a failure.
  Result<void> set_call(UniqueFd fd);
  Result<void> set_error(UniqueFd fd);

  // Serves the queue by `server` from now on, if it can be served and is not.
  Result<void> serve(const std::shared_ptr<RequestServer>& server);

  // Ends the queue as GET_VRING_BASE wants it; gives where the next start has to go on. What is
  // being served is waited for, for the grace; then it is interrupted, and waited for as long
  // again. Answers that come after that are dropped. A new kick is needed for another start.
  Result<uint16_t> stop(RequestServer& server);
  // The same, and all settings are as in the beginning.
  Result<void> reset(RequestServer& server);
  // For the end of the connection: whatever is not answered yet is dropped.
  Result<void> close();

  // Tells the front end that the queue is broken.
  void signal_failure();

  bool is_served() const { return worker_ != nullptr; }

 private:
  Result<void> stop_worker();
  Result<void> start_ring();

  const std::chrono::milliseconds grace_;
  const std::shared_ptr<LiveRing> ring_ = std::make_shared<LiveRing>();
  uint16_t size_ = 0;
  uint16_t base_ = 0;
  std::optional<RingPlace> place_;
  SharedFd kick_;
  SharedFd error_;
  bool enabled_ = false;
  uint64_t features_ = 0;
  std::shared_ptr<const GuestMemory> memory_;
  bool was_kicked_ = false;  // since the ring was started
  std::unique_ptr<QueueWorker> worker_;
};

}  // namespace castore::virtiofs
