// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "virtiofs/guest_memory.h"

namespace castore::virtiofs {

// Places of a queue, and so requests in it at a time. What virtio-fs devices offer at most.
inline constexpr uint16_t kQueueSizeMax = 1024;

// Where a queue's three parts are, in addresses of the front end.
struct RingPlace {
  uint64_t descriptors = 0;
  uint64_t available = 0;
  uint64_t used = 0;

  friend bool operator==(const RingPlace&, const RingPlace&) = default;
};

// The device's side of one split virtqueue: takes the heads of descriptor chains that the guest
// made available, and gives them back used.
//
// The guest writes to the ring at any time. Every number is read once and checked before it is
// used; what is wrong is kInvalidArgument, and the ring is of no use after that.
//
// One thread at a time.
class SplitRing {
 public:
  struct Options {
    uint16_t size = 0;         // a power of two, at most kQueueSizeMax
    bool event_index = false;  // kRingEventIdx was agreed on
    uint16_t next = 0;         // where to go on in the available ring
  };

  // kInvalidArgument: the size is none. kNotFound: `memory` does not hold the ring.
  static Result<SplitRing> make(const Options& options, const RingPlace& place,
                                std::shared_ptr<const GuestMemory> memory);

  // Goes on in other memory, where the guest's side is the same. kNotFound, and nothing has
  // changed: it does not hold the ring.
  Result<void> move_to(const RingPlace& place, std::shared_ptr<const GuestMemory> memory);

  // The next head, if there is one.
  Result<std::optional<uint16_t>> take();

  // Says that the device wrote `bytes` to the chain, which becomes the driver's again.
  void give_back(uint16_t head, uint32_t bytes);

  // Whether the driver wants to be told of what was given back since it was told last. Says yes
  // once.
  bool must_interrupt();

  // While the device is looking anyway, the driver need not tell it of what is new.
  void hold_notifications();
  // The driver tells of what is new from now on. True: there was something new meanwhile, so look
  // again.
  bool want_notifications();

  uint16_t size() const { return options_.size; }
  // Where the available ring is read next.
  uint16_t next() const { return next_; }
  // Taken and not given back.
  uint16_t in_flight() const { return in_flight_; }
  const std::shared_ptr<const GuestMemory>& memory() const { return memory_; }
  // Of abi::Descriptor. Lies in memory().
  ByteView descriptors() const { return descriptors_; }

 private:
  explicit SplitRing(const Options& options);

  uint16_t available_index() const;

  Options options_;
  std::shared_ptr<const GuestMemory> memory_;
  ByteView descriptors_;
  std::byte* available_ = nullptr;
  std::byte* used_ = nullptr;
  uint16_t next_ = 0;
  uint16_t used_index_ = 0;
  uint16_t told_index_ = 0;  // the used index that the driver was told of last
  bool told_once_ = false;
  uint16_t in_flight_ = 0;
};

}  // namespace castore::virtiofs
