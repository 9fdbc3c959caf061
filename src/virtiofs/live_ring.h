// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/bytes.h"
#include "base/guarded.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "virtiofs/split_ring.h"

namespace castore::virtiofs {

using SharedFd = std::shared_ptr<const UniqueFd>;

// A queue's ring while it is started, shared by the thread that takes requests from it and those
// that answer them, which may be much later. Each start is an epoch: an answer to a request of an
// earlier one is dropped, before it touches the guest's memory.
//
//   Threads  any method, any thread; `take` and `want_notifications` by one at a time.
class LiveRing {
 public:
  // A request that was taken. Its memory stays mapped as long as this lives.
  struct Taken {
    uint16_t head = 0;
    uint64_t epoch = 0;
    std::shared_ptr<const GuestMemory> memory;
    ByteView descriptors;  // in `memory`
  };

  // The guest is told of answers by this descriptor; null: not at all.
  void set_call(SharedFd call);

  void start(SplitRing ring);
  bool is_started();
  // As SplitRing has it.
  Result<void> move_to(const RingPlace& place, std::shared_ptr<const GuestMemory> memory);
  // Gives the place in the available ring that was not taken any more. Waits for answers that are
  // being written, which is a copy's time.
  uint16_t end();

  // As SplitRing has them. `take` also lets the driver off telling of what is new.
  Result<std::optional<Taken>> take();
  bool want_notifications();

  // Around the writing of an answer to guest memory. False: it is too late, and nothing may be
  // written. Each request that was taken is answered once, if only with 0 bytes.
  bool begin_answer(uint64_t epoch);
  void end_answer(const Taken& taken, uint32_t bytes);

  // The numbers of requests that are answered later.
  void add_kept(uint64_t unique);
  void remove_kept(uint64_t unique);
  std::vector<uint64_t> kept();

  // Whether all that was taken is answered, within the time.
  bool wait_until_answered(std::chrono::milliseconds grace);

 private:
  struct State {
    std::optional<SplitRing> ring;
    uint64_t epoch = 0;
    size_t answers = 0;  // being written
    std::unordered_multiset<uint64_t> kept;
    SharedFd call;
  };

  Guarded<State> state_;
  std::condition_variable answered_;
};

}  // namespace castore::virtiofs
