// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace castore::virtiofs {

// Watches over a mapping whose file another program may cut short, or whose pages may turn out not
// to be there: touching those raises SIGBUS, which would end the process. Instead the whole mapping
// is replaced by memory of zeros, and whoever looks is told. There is no way to check beforehand:
// the file can shrink at any moment, and few front ends seal theirs against that.
//
// Faults outside of all watched mappings go on to whatever handled SIGBUS before.
//
//   Threads   made and destroyed by any thread. The handler runs on the thread that touched the
//             memory; it takes no lock.
//   Lifetime  ends before the mapping does, and nobody touches the mapping after that.
class BusGuard {
 public:
  // `begin` and `bytes` are those of a mapping.
  BusGuard(void* begin, size_t bytes);
  BusGuard(const BusGuard&) = delete;
  BusGuard& operator=(const BusGuard&) = delete;
  ~BusGuard();

  // Whether the memory was replaced: what is read from it is no longer the file's.
  bool tripped() const { return slot_->tripped.load(std::memory_order_acquire); }

  // What the handler sees. Never freed, and used again by a later guard.
  struct Slot {
    std::atomic<uintptr_t> begin = 0;  // 0: not in use
    std::atomic<size_t> bytes = 0;
    std::atomic<bool> tripped = false;
    Slot* next = nullptr;
  };

 private:
  Slot* slot_;
};

}  // namespace castore::virtiofs
