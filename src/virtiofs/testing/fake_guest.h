// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "fuse/testing/fake_kernel.h"
#include "virtiofs/guest_memory.h"
#include "virtiofs/testing/fake_front_end.h"
#include "virtiofs/testing/fake_ring.h"

namespace castore::virtiofs::testing {

// A virtual machine without a machine: a front end that sets a device up as QEMU does, and a guest
// that drives its queues in shared memory. It checks what the device does, and ends the program
// where that is wrong.
//
//   Threads  `exchange`, `submit` and `wait` by any; the rest by one.
class FakeGuest {
 public:
  struct Options {
    uint16_t request_queues = 1;
    uint16_t queue_size = 128;
    bool event_index = true;
    bool indirect = true;
    bool memory_table = false;  // SET_MEM_TABLE rather than ADD_MEM_REG
  };

  // Where its memory is for the guest, and for the front end.
  static constexpr uint64_t kGuestAddress = uint64_t{1} << 32;
  static constexpr uint64_t kUserAddress = uint64_t{0x7f} << 40;
  // Requests in a queue at a time, and what each has in memory: the request, a table, the answer.
  static constexpr size_t kSlots = 8;
  static constexpr size_t kSlotBytes = size_t{2} << 20;
  static constexpr size_t kRequestRoom = size_t{256} << 10;
  static constexpr size_t kTableRoom = size_t{64} << 10;
  static constexpr size_t kAnswerRoom = kSlotBytes - kRequestRoom - kTableRoom;
  static constexpr size_t kRingRoom = size_t{64} << 10;
  static constexpr size_t kQueueBytes = kRingRoom + kSlots * kSlotBytes;

  FakeGuest(UniqueFd socket, const Options& options);
  explicit FakeGuest(UniqueFd socket) : FakeGuest(std::move(socket), Options()) {}
  FakeGuest(const FakeGuest&) = delete;
  FakeGuest& operator=(const FakeGuest&) = delete;
  ~FakeGuest();

  // The steps of a front end's start, all of them or one by one. Each is acknowledged, and false
  // where the device refused or has gone.
  bool set_up();
  bool negotiate();
  bool share_memory();
  bool start_queue(uint16_t index, uint16_t base = 0);
  bool enable_queue(uint16_t index, bool enabled);
  // GET_VRING_BASE; nothing: the device has gone.
  std::optional<uint32_t> stop_queue(uint16_t index);
  // Begins the ring anew, as a driver does that resets the device.
  void renew_ring(uint16_t index);

  // Sends a request through a queue, and waits for its answer: nothing where there was none.
  std::optional<std::vector<std::byte>> exchange(uint16_t queue, ByteView request, size_t room);
  // For fuse::testing::FakeKernel: FORGET and the like go to the urgent queue, as Linux does it.
  fuse::testing::Exchange exchange_through(uint16_t queue);

  // The same in two steps. The slot is in use until it was waited for.
  size_t submit(uint16_t queue, ByteView request, size_t room);
  std::optional<std::vector<std::byte>> wait(uint16_t queue, size_t slot);
  // The same, and gives the answer's length alone: for those who measure the device.
  size_t wait_unread(uint16_t queue, size_t slot);

  // For guests that lie.
  FakeFrontEnd& front_end() { return front_end_; }
  FakeRing& ring(uint16_t queue) { return *queues_[queue]->ring; }
  void kick(uint16_t queue);
  MutableByteView memory() const { return memory_; }
  int memory_fd() const { return memory_fd_.get(); }
  static uint64_t slot_address(uint16_t queue, size_t slot) {
    return kGuestAddress + queue * kQueueBytes + kRingRoom + slot * kSlotBytes;
  }
  MutableByteView at(uint64_t guest_address, size_t bytes) const {
    return memory_.subspan(guest_address - kGuestAddress, bytes);
  }
  abi::Region region() const;
  const UniqueFd& error_event(uint16_t queue) const { return queues_[queue]->error; }

 private:
  struct Slot {
    bool in_use = false;
    std::optional<uint32_t> written;  // once it is back
  };
  struct Queue {
    std::mutex mutex;
    std::condition_variable changed;
    std::unique_ptr<FakeRing> ring;
    UniqueFd kick;
    UniqueFd call;
    UniqueFd error;
    std::vector<Slot> slots = std::vector<Slot>(kSlots);
    bool somebody_polls = false;
  };

  void put_chain(Queue& queue, uint16_t index, size_t slot, size_t request_bytes, size_t room);
  void collect(Queue& queue);
  // Under the queue's lock, which `lock` is: the bytes of the answer, once there is one.
  size_t wait_for_answer(Queue& queue, size_t slot, std::unique_lock<std::mutex>& lock);
  static void free_slot(Queue& queue, size_t slot);

  const Options options_;
  FakeFrontEnd front_end_;
  UniqueFd memory_fd_;
  MutableByteView memory_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

}  // namespace castore::virtiofs::testing
