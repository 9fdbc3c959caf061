// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/split_ring.h"

#include <atomic>
#include <bit>
#include <utility>

#include "virtiofs/ring_abi.h"

namespace castore::virtiofs {
namespace {

// Numbers that guest and device write at the same time.
uint16_t load(const std::byte* at, std::memory_order order) {
  // An atomic reference to const comes with C++26.
  auto* number = reinterpret_cast<uint16_t*>(const_cast<std::byte*>(at));
  return std::atomic_ref<uint16_t>(*number).load(order);
}
void store(std::byte* at, uint16_t value, std::memory_order order) {
  std::atomic_ref<uint16_t>(*reinterpret_cast<uint16_t*>(at)).store(value, order);
}
void store32(std::byte* at, uint32_t value) {
  std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(at))
      .store(value, std::memory_order_relaxed);
}

// Indices count on beyond the size, and wrap at 2^16.
uint16_t plus(uint16_t index, int n) {
  return static_cast<uint16_t>(index + n);
}
uint16_t distance(uint16_t from, uint16_t to) {
  return static_cast<uint16_t>(to - from);
}

bool is_aligned(const std::byte* at, uintptr_t alignment) {
  return reinterpret_cast<uintptr_t>(at) % alignment == 0;
}

}  // namespace

Result<SplitRing> SplitRing::make(const Options& options, const RingPlace& place,
                                  std::shared_ptr<const GuestMemory> memory) {
  if (!std::has_single_bit(options.size) || options.size > kQueueSizeMax)
    return fail(ErrorKind::kInvalidArgument, "a queue cannot have {} places", options.size);
  SplitRing ring(options);
  CASTORE_TRY(ring.move_to(place, std::move(memory)));
  // What a device before us gave back stays given back.
  ring.used_index_ = load(ring.used_ + abi::kRingIndexOffset, std::memory_order_relaxed);
  ring.told_index_ = ring.used_index_;
  return ring;
}

SplitRing::SplitRing(const Options& options) : options_(options), next_(options.next) {}

Result<void> SplitRing::move_to(const RingPlace& place, std::shared_ptr<const GuestMemory> memory) {
  const size_t size = options_.size;
  auto descriptors = memory->at_user(place.descriptors, abi::descriptors_bytes(size));
  auto available = memory->at_user(place.available, abi::available_bytes(size));
  auto used = memory->at_user(place.used, abi::used_bytes(size));
  if (!descriptors || !available || !used)
    return fail(ErrorKind::kNotFound, "a queue is not in the guest's memory");
  if (!is_aligned(descriptors->data(), 16) || !is_aligned(available->data(), 2) ||
      !is_aligned(used->data(), 4))
    return fail(ErrorKind::kInvalidArgument, "a queue is not aligned");
  memory_ = std::move(memory);
  descriptors_ = *descriptors;
  available_ = available->data();
  used_ = used->data();
  return {};
}

uint16_t SplitRing::available_index() const {
  // What the driver wrote before it raised the index is seen after this.
  return load(available_ + abi::kRingIndexOffset, std::memory_order_acquire);
}

Result<std::optional<uint16_t>> SplitRing::take() {
  const uint16_t index = available_index();
  if (index == next_) return std::nullopt;
  if (distance(next_, index) > options_.size)
    return fail(ErrorKind::kInvalidArgument, "the guest made {} requests available in {} places",
                distance(next_, index), options_.size);
  if (in_flight_ == options_.size)
    return fail(ErrorKind::kInvalidArgument, "the guest made a place available that is in use");
  const size_t at = abi::kRingHeadBytes + size_t{2} * (next_ % options_.size);
  const uint16_t head = load(available_ + at, std::memory_order_relaxed);
  if (head >= options_.size)
    return fail(ErrorKind::kInvalidArgument, "the guest made descriptor {} of {} available", head,
                options_.size);
  next_ = plus(next_, 1);
  ++in_flight_;
  return head;
}

void SplitRing::give_back(uint16_t head, uint32_t bytes) {
  std::byte* entry =
      used_ + abi::kRingHeadBytes + sizeof(abi::UsedEntry) * (used_index_ % options_.size);
  store32(entry, head);
  store32(entry + sizeof head * 2, bytes);
  used_index_ = plus(used_index_, 1);
  // What was written to the chain and the entry is seen before the index.
  store(used_ + abi::kRingIndexOffset, used_index_, std::memory_order_release);
  --in_flight_;
}

bool SplitRing::must_interrupt() {
  // The index is out before the driver's wish is read: either it sees the one, or we the other.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const uint16_t since = std::exchange(told_index_, used_index_);
  if (!options_.event_index)
    return (load(available_, std::memory_order_relaxed) & abi::kAvailNoInterrupt) == 0;
  const uint16_t wish =
      load(available_ + abi::kRingHeadBytes + size_t{2} * options_.size, std::memory_order_relaxed);
  // The entry numbered `wish` is among those given back since.
  const bool first = !std::exchange(told_once_, true);
  return first || distance(wish, plus(used_index_, -1)) < distance(since, used_index_);
}

void SplitRing::hold_notifications() {
  // With the event index it is enough not to raise it.
  if (!options_.event_index) store(used_, abi::kUsedNoNotify, std::memory_order_relaxed);
}

bool SplitRing::want_notifications() {
  if (options_.event_index)
    store(used_ + abi::kRingHeadBytes + sizeof(abi::UsedEntry) * options_.size, next_,
          std::memory_order_relaxed);
  else
    store(used_, 0, std::memory_order_relaxed);
  // The wish is out before the index is read: as above.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return available_index() != next_;
}

}  // namespace castore::virtiofs
