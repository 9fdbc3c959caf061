// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/guest_queue.h"

#include <bit>
#include <limits>
#include <utility>

#include "virtiofs/event_fd.h"
#include "virtiofs/ring_abi.h"

namespace castore::virtiofs {
namespace {

Result<SharedFd> shared_event(UniqueFd fd) {
  if (!fd) return nullptr;
  CASTORE_TRY(check_event(fd.get()));
  return std::make_shared<const UniqueFd>(std::move(fd));
}

}  // namespace

Result<void> GuestQueue::set_size(uint32_t size) {
  if (ring_->is_started())
    return fail(ErrorKind::kInvalidArgument, "the size of a started queue is set");
  if (!std::has_single_bit(size) || size > kQueueSizeMax)
    return fail(ErrorKind::kInvalidArgument, "a queue of {} places: at most {}, and a power of two",
                size, kQueueSizeMax);
  size_ = static_cast<uint16_t>(size);
  return {};
}

Result<void> GuestQueue::set_base(uint32_t base) {
  if (ring_->is_started())
    return fail(ErrorKind::kInvalidArgument, "the base of a started queue is set");
  if (base > std::numeric_limits<uint16_t>::max())
    return fail(ErrorKind::kInvalidArgument, "a queue cannot go on at {}", base);
  base_ = static_cast<uint16_t>(base);
  return {};
}

Result<void> GuestQueue::set_place(const RingPlace& place) {
  // Said again by front ends that only change what is logged.
  if (place_ == place) return {};
  if (ring_->is_started())
    return fail(ErrorKind::kInvalidArgument, "the addresses of a started queue are set");
  place_ = place;
  return {};
}

Result<void> GuestQueue::set_kick(UniqueFd fd) {
  SharedFd kick = CASTORE_TRY(shared_event(std::move(fd)));
  CASTORE_TRY(stop_worker());
  kick_ = std::move(kick);
  return {};
}

Result<void> GuestQueue::set_call(UniqueFd fd) {
  ring_->set_call(CASTORE_TRY(shared_event(std::move(fd))));
  return {};
}

Result<void> GuestQueue::set_error(UniqueFd fd) {
  error_ = CASTORE_TRY(shared_event(std::move(fd)));
  return {};
}

Result<void> GuestQueue::set_enabled(bool enabled) {
  if (!enabled) CASTORE_TRY(stop_worker());
  enabled_ = enabled;
  return {};
}

Result<void> GuestQueue::set_memory(std::shared_ptr<const GuestMemory> memory) {
  CASTORE_TRY(stop_worker());
  memory_ = std::move(memory);
  return {};
}

Result<void> GuestQueue::serve(const std::shared_ptr<RequestServer>& server) {
  if (worker_ || !enabled_ || !kick_ || !place_ || !memory_ || size_ == 0) return {};
  auto started = start_ring();
  // It may be on its way: front ends move memory piece by piece.
  if (!started && started.error().kind() == ErrorKind::kNotFound) return {};
  CASTORE_TRY(std::move(started));
  worker_ =
      CASTORE_TRY(QueueWorker::start(server, ring_,
                                     {.kick = kick_,
                                      .look_at_once = was_kicked_,
                                      .indirect = (features_ & abi::kRingIndirectDesc) != 0}));
  return {};
}

Result<void> GuestQueue::start_ring() {
  if (ring_->is_started()) return ring_->move_to(*place_, memory_);
  ring_->start(CASTORE_TRY(SplitRing::make(
      {.size = size_, .event_index = (features_ & abi::kRingEventIdx) != 0, .next = base_}, *place_,
      memory_)));
  // A queue that goes on has been kicked before, by whom that concerned.
  was_kicked_ = base_ != 0;
  return {};
}

Result<void> GuestQueue::stop_worker() {
  if (!worker_) return {};
  CASTORE_TRY(worker_->stop(grace_));
  was_kicked_ = worker_->was_kicked();
  worker_.reset();
  return {};
}

Result<uint16_t> GuestQueue::stop(RequestServer& server) {
  CASTORE_TRY(stop_worker());
  if (ring_->is_started()) {
    if (!ring_->wait_until_answered(grace_)) {
      for (uint64_t unique : ring_->kept()) server.interrupt(unique);
      ring_->wait_until_answered(grace_);
    }
    base_ = ring_->end();
  }
  kick_.reset();
  return base_;
}

Result<void> GuestQueue::reset(RequestServer& server) {
  CASTORE_TRY(stop(server));
  size_ = 0;
  base_ = 0;
  place_.reset();
  enabled_ = false;
  ring_->set_call(nullptr);
  error_.reset();
  return {};
}

Result<void> GuestQueue::close() {
  auto stopped = stop_worker();
  ring_->end();
  return stopped;
}

void GuestQueue::signal_failure() {
  if (error_) raise_event(error_->get());
}

}  // namespace castore::virtiofs
