// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/testing/fake_ring.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace castore::virtiofs::testing {
namespace {

std::atomic_ref<uint16_t> number_at(std::byte* at) {
  return std::atomic_ref<uint16_t>(*reinterpret_cast<uint16_t*>(at));
}

size_t round_up(size_t bytes, size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

size_t FakeRing::available_offset(uint16_t size) {
  return abi::descriptors_bytes(size);
}
size_t FakeRing::used_offset(uint16_t size) {
  return round_up(available_offset(size) + abi::available_bytes(size), 4);
}
size_t FakeRing::bytes(uint16_t size) {
  return used_offset(size) + abi::used_bytes(size);
}

FakeRing::FakeRing(MutableByteView memory, uint16_t size, bool event_index)
    : memory_(memory), size_(size), event_index_(event_index) {
  CASTORE_CHECK(memory.size() >= bytes(size), "a ring has room");
}

std::byte* FakeRing::available() const {
  return memory_.data() + available_offset(size_);
}
std::byte* FakeRing::used() const {
  return memory_.data() + used_offset(size_);
}

void FakeRing::set_descriptor(size_t index, const abi::Descriptor& descriptor) {
  CASTORE_CHECK(index < size_, "a descriptor is in its table");
  std::memcpy(memory_.data() + index * sizeof descriptor, &descriptor, sizeof descriptor);
}

void FakeRing::put(uint16_t head) {
  set_available_entry(available_index_ % size_, head);
  set_available_index(static_cast<uint16_t>(available_index_ + 1));
}

void FakeRing::set_available_entry(uint16_t place, uint16_t head) {
  number_at(available() + abi::kRingHeadBytes + size_t{2} * place).store(head);
}

void FakeRing::set_available_index(uint16_t index) {
  available_index_ = index;
  number_at(available() + abi::kRingIndexOffset).store(index, std::memory_order_release);
}

bool FakeRing::must_kick() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const uint16_t since = std::exchange(kicked_index_, available_index_);
  if (!event_index_) return (number_at(used()).load() & abi::kUsedNoNotify) == 0;
  const uint16_t wish =
      number_at(used() + abi::kRingHeadBytes + sizeof(abi::UsedEntry) * size_).load();
  return static_cast<uint16_t>(available_index_ - 1 - wish) <
         static_cast<uint16_t>(available_index_ - since);
}

uint16_t FakeRing::used_index() const {
  return number_at(used() + abi::kRingIndexOffset).load(std::memory_order_acquire);
}

std::optional<abi::UsedEntry> FakeRing::take_used() {
  if (used_index() == used_index_) return std::nullopt;
  abi::UsedEntry entry;
  std::memcpy(&entry, used() + abi::kRingHeadBytes + sizeof entry * (used_index_ % size_),
              sizeof entry);
  used_index_ = static_cast<uint16_t>(used_index_ + 1);
  return entry;
}

bool FakeRing::want_interrupt() {
  if (event_index_)
    number_at(available() + abi::kRingHeadBytes + size_t{2} * size_).store(used_index_);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return used_index() != used_index_;
}

}  // namespace castore::virtiofs::testing
