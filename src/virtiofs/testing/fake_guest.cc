// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/testing/fake_guest.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "fuse/abi.h"
#include "virtiofs/event_fd.h"
#include "virtiofs/ring_abi.h"

namespace castore::virtiofs::testing {
namespace {

using abi::MessageType;

constexpr int kPatience_ms = 60'000;
constexpr size_t kPageBytes = 4096;

UniqueFd new_event() {
  auto event = make_event();
  CASTORE_CHECK(event, "an event can be made");
  return std::move(*event);
}

}  // namespace

FakeGuest::FakeGuest(UniqueFd socket, const Options& options)
    : options_(options), front_end_(std::move(socket)) {
  const size_t count = size_t{1} + options.request_queues;
  const size_t bytes = count * kQueueBytes;
  memory_fd_.reset(::memfd_create("fake-guest", MFD_CLOEXEC));
  CASTORE_CHECK(memory_fd_ && ::ftruncate(memory_fd_.get(), static_cast<off_t>(bytes)) == 0,
                "there is memory");
  void* mapping = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd_.get(), 0);
  CASTORE_CHECK(mapping != MAP_FAILED, "memory can be mapped");
  memory_ = {static_cast<std::byte*>(mapping), bytes};
  for (size_t i = 0; i < count; ++i) {
    queues_.push_back(std::make_unique<Queue>());
    Queue& queue = *queues_.back();
    queue.kick = new_event();
    queue.call = new_event();
    queue.error = new_event();
    renew_ring(static_cast<uint16_t>(i));
  }
}

FakeGuest::~FakeGuest() {
  ::munmap(memory_.data(), memory_.size());
}

void FakeGuest::renew_ring(uint16_t index) {
  MutableByteView room = memory_.subspan(index * kQueueBytes, kRingRoom);
  std::memset(room.data(), 0, room.size());
  queues_[index]->ring =
      std::make_unique<FakeRing>(room, options_.queue_size, options_.event_index);
}

bool FakeGuest::set_up() {
  if (!negotiate() || !share_memory()) return false;
  for (uint16_t i = 0; i < queues_.size(); ++i)
    if (!start_queue(i)) return false;
  for (uint16_t i = 0; i < queues_.size(); ++i)
    if (!enable_queue(i, true)) return false;
  return true;
}

bool FakeGuest::negotiate() {
  auto features = front_end_.ask(MessageType::kGetFeatures);
  auto protocol = front_end_.ask(MessageType::kGetProtocolFeatures);
  if (!features || !protocol) return false;
  if (!front_end_.send(MessageType::kSetProtocolFeatures, *protocol) ||
      front_end_.ask(MessageType::kGetQueueNum) < queues_.size() ||
      !front_end_.send(MessageType::kSetOwner, ByteView()))
    return false;
  uint64_t wanted = *features;
  if (!options_.event_index) wanted &= ~abi::kRingEventIdx;
  if (!options_.indirect) wanted &= ~abi::kRingIndirectDesc;
  return front_end_.acknowledged(MessageType::kSetFeatures, wanted) == 0;
}

abi::Region FakeGuest::region() const {
  return {.guest_address = kGuestAddress,
          .bytes = memory_.size(),
          .user_address = kUserAddress,
          .file_offset = 0};
}

bool FakeGuest::share_memory() {
  const int fd = memory_fd_.get();
  if (!options_.memory_table)
    return front_end_.acknowledged(MessageType::kAddMemReg,
                                   abi::SingleRegion{.padding = 0, .region = region()},
                                   {&fd, 1}) == 0;
  struct {
    abi::MemTableHead head;
    abi::Region region;
  } table{.head = {.count = 1, .padding = 0}, .region = region()};
  return front_end_.acknowledged(MessageType::kSetMemTable, table, {&fd, 1}) == 0;
}

bool FakeGuest::start_queue(uint16_t index, uint16_t base) {
  Queue& queue = *queues_[index];
  const uint64_t ring = kUserAddress + index * kQueueBytes;
  const uint16_t size = options_.queue_size;
  const int kick = queue.kick.get();
  const int call = queue.call.get();
  const int error = queue.error.get();
  const uint64_t which = index;
  auto done = [this](MessageType type, const auto& payload, std::span<const int> fds = {}) {
    return front_end_.acknowledged(type, payload, fds) == 0;
  };
  return done(MessageType::kSetVringCall, which, {&call, 1}) &&
         done(MessageType::kSetVringErr, which, {&error, 1}) &&
         done(MessageType::kSetVringNum, abi::VringState{index, size}) &&
         done(MessageType::kSetVringBase, abi::VringState{index, base}) &&
         done(MessageType::kSetVringAddr,
              abi::VringAddress{.index = index,
                                .flags = 0,
                                .descriptors = ring,
                                .used = ring + FakeRing::used_offset(size),
                                .available = ring + FakeRing::available_offset(size),
                                .log = 0}) &&
         done(MessageType::kSetVringKick, which, {&kick, 1});
}

bool FakeGuest::enable_queue(uint16_t index, bool enabled) {
  return front_end_.acknowledged(MessageType::kSetVringEnable,
                                 abi::VringState{index, enabled ? 1u : 0u}) == 0;
}

std::optional<uint32_t> FakeGuest::stop_queue(uint16_t index) {
  if (!front_end_.send(MessageType::kGetVringBase, abi::VringState{index, 0})) return std::nullopt;
  auto payload = front_end_.reply();
  if (!payload) return std::nullopt;
  abi::VringState state{};
  CASTORE_CHECK(payload->size() == sizeof state, "the reply is a queue's state");
  std::memcpy(&state, payload->data(), sizeof state);
  CASTORE_CHECK(state.index == index, "the reply is of the queue that was asked about");
  return state.number;
}

void FakeGuest::kick(uint16_t queue) {
  raise_event(queues_[queue]->kick.get());
}

// As Linux does it: headers in buffers of their own, and the answer's body in pages. Without
// tables, the slot has its share of the ring's descriptors.
void FakeGuest::put_chain(Queue& queue, uint16_t index, size_t slot, size_t request_bytes,
                          size_t room) {
  const uint64_t base = slot_address(index, slot);
  const size_t own = options_.queue_size / kSlots;
  const auto head = static_cast<uint16_t>(slot * own);
  std::vector<abi::Descriptor> chain;
  auto add = [&](uint64_t address, size_t bytes, uint16_t flags) {
    if (bytes > 0) chain.push_back({address, static_cast<uint32_t>(bytes), flags, 0});
  };
  const size_t header = std::min(request_bytes, sizeof(fuse::abi::InHeader));
  add(base, header, 0);
  add(base + header, request_bytes - header, 0);
  const uint64_t answer = base + kRequestRoom + kTableRoom;
  const size_t first = std::min(room, sizeof(fuse::abi::OutHeader));
  add(answer, first, abi::kDescWrite);
  const size_t pieces_max = options_.indirect ? 1000 : own - chain.size();
  const size_t piece = std::max(kPageBytes, (room - first) / pieces_max + 1);
  for (size_t at = first; at < room; at += piece)
    add(answer + at, std::min(piece, room - at), abi::kDescWrite);

  const auto begin = options_.indirect ? uint16_t{0} : head;
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    chain[i].flags |= abi::kDescNext;
    chain[i].next = static_cast<uint16_t>(begin + i + 1);
  }
  if (options_.indirect) {
    const size_t bytes = chain.size() * sizeof(abi::Descriptor);
    std::memcpy(at(base + kRequestRoom, bytes).data(), chain.data(), bytes);
    queue.ring->set_descriptor(
        head, {base + kRequestRoom, static_cast<uint32_t>(bytes), abi::kDescIndirect, 0});
  } else {
    for (size_t i = 0; i < chain.size(); ++i) queue.ring->set_descriptor(head + i, chain[i]);
  }
  queue.ring->put(head);
}

size_t FakeGuest::submit(uint16_t index, ByteView request, size_t room) {
  room = std::min(room, kAnswerRoom);
  CASTORE_CHECK(request.size() <= kRequestRoom, "a request fits its slot");
  Queue& queue = *queues_[index];
  std::unique_lock lock(queue.mutex);
  auto free_slot = queue.slots.end();
  queue.changed.wait(lock, [&] {
    free_slot = std::find_if(queue.slots.begin(), queue.slots.end(),
                             [](const Slot& slot) { return !slot.in_use; });
    return free_slot != queue.slots.end();
  });
  free_slot->in_use = true;
  free_slot->written.reset();
  const auto slot = static_cast<size_t>(free_slot - queue.slots.begin());
  std::copy(request.begin(), request.end(), at(slot_address(index, slot), request.size()).begin());
  put_chain(queue, index, slot, request.size(), room);
  if (queue.ring->must_kick()) raise_event(queue.kick.get());
  return slot;
}

void FakeGuest::collect(Queue& queue) {
  while (auto used = queue.ring->take_used()) {
    const size_t slot = used->head / (options_.queue_size / kSlots);
    CASTORE_CHECK(slot < kSlots && queue.slots[slot].in_use && !queue.slots[slot].written,
                  "the device gives back what it was given, once");
    queue.slots[slot].written = used->bytes;
  }
}

size_t FakeGuest::wait_for_answer(Queue& queue, size_t slot, std::unique_lock<std::mutex>& lock) {
  while (!queue.slots[slot].written) {
    collect(queue);
    if (queue.slots[slot].written) break;
    if (queue.somebody_polls) {
      queue.changed.wait(lock);
      continue;
    }
    if (queue.ring->want_interrupt()) continue;
    queue.somebody_polls = true;
    lock.unlock();
    pollfd polled{.fd = queue.call.get(), .events = POLLIN, .revents = 0};
    CASTORE_CHECK(::poll(&polled, 1, kPatience_ms) == 1, "the device tells of its answers");
    clear_event(queue.call.get());
    lock.lock();
    queue.somebody_polls = false;
    collect(queue);
    queue.changed.notify_all();
  }
  const size_t written = *queue.slots[slot].written;
  CASTORE_CHECK(written <= kAnswerRoom, "the device writes no more than there is room");
  return written;
}

void FakeGuest::free_slot(Queue& queue, size_t slot) {
  queue.slots[slot].in_use = false;
  queue.changed.notify_all();
}

size_t FakeGuest::wait_unread(uint16_t index, size_t slot) {
  Queue& queue = *queues_[index];
  std::unique_lock lock(queue.mutex);
  const size_t written = wait_for_answer(queue, slot, lock);
  free_slot(queue, slot);
  return written;
}

std::optional<std::vector<std::byte>> FakeGuest::wait(uint16_t index, size_t slot) {
  Queue& queue = *queues_[index];
  std::unique_lock lock(queue.mutex);
  const size_t written = wait_for_answer(queue, slot, lock);
  std::optional<std::vector<std::byte>> answer;
  if (written > 0) {
    ByteView bytes = at(slot_address(index, slot) + kRequestRoom + kTableRoom, written);
    answer.emplace(bytes.begin(), bytes.end());
  }
  free_slot(queue, slot);
  return answer;
}

std::optional<std::vector<std::byte>> FakeGuest::exchange(uint16_t queue, ByteView request,
                                                          size_t room) {
  return wait(queue, submit(queue, request, room));
}

fuse::testing::Exchange FakeGuest::exchange_through(uint16_t queue) {
  return [this, queue](ByteView request, size_t room) {
    fuse::abi::InHeader header{};
    std::memcpy(&header, request.data(), std::min(request.size(), sizeof header));
    using fuse::abi::Opcode;
    const auto opcode = static_cast<Opcode>(header.opcode);
    const bool is_urgent =
        opcode == Opcode::kForget || opcode == Opcode::kBatchForget || opcode == Opcode::kInterrupt;
    return is_urgent ? exchange(0, request, 0) : exchange(queue, request, room);
  };
}

}  // namespace castore::virtiofs::testing
