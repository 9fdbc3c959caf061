// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "virtiofs/bus_guard.h"

namespace castore::virtiofs {

// Ours: as many as Linux gave a virtual machine for long. Each costs us one mapping.
inline constexpr size_t kRegionsMax = 256;
// Of all regions of a guest together: address space, of which a process has 2^47 bytes.
inline constexpr uint64_t kGuestBytesMax = uint64_t{1} << 44;

// Where a piece of a guest's memory is, as the front end describes it.
struct RegionPlace {
  uint64_t guest_address = 0;  // what descriptors use
  uint64_t bytes = 0;
  uint64_t user_address = 0;  // in the front end: what it says rings are at
  uint64_t file_offset = 0;   // in the file that comes with it

  friend bool operator==(const RegionPlace&, const RegionPlace&) = default;
};

// A piece of a guest's memory, mapped here as long as this object lives. Guest and front end write
// to it at any moment: what is read there is read once, and checked in a copy.
class MemoryRegion {
 public:
  // The file has to be a regular one (memfd, tmpfs, hugetlbfs, ...) and at least as long as the
  // place says. It is not needed after this.
  static Result<std::shared_ptr<const MemoryRegion>> map(const RegionPlace& place, int fd);

  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;
  ~MemoryRegion();

  const RegionPlace& place() const { return place_; }
  std::byte* bytes() const { return bytes_; }

  // The file was cut short, and the memory is not the guest's any more.
  bool lost() const { return guard_->tripped(); }

 private:
  MemoryRegion(const RegionPlace& place, void* mapping, size_t mapping_bytes, std::byte* bytes);

  const RegionPlace place_;
  void* mapping_;
  size_t mapping_bytes_;
  std::byte* bytes_;
  std::optional<BusGuard> guard_;
};

// All of a guest's memory at one time. Never changes: a change makes another one, and regions
// stay mapped until the last of those that have them is gone.
//
//   Threads  any method, any thread.
class GuestMemory {
 public:
  using Regions = std::vector<std::shared_ptr<const MemoryRegion>>;

  // kInvalidArgument: regions overlap. kExhausted: too many, or too large.
  static Result<std::shared_ptr<const GuestMemory>> of(Regions regions);

  const Regions& regions() const { return by_guest_; }
  uint64_t bytes() const { return bytes_; }
  bool lost() const;

  // As much of `bytes` from a guest address on as lies in one region: nothing where none has it.
  // A buffer may go on in the next region.
  MutableByteView at_guest(uint64_t address, uint64_t bytes) const;
  // All of `bytes` at an address of the front end, in one region.
  std::optional<MutableByteView> at_user(uint64_t address, uint64_t bytes) const;

 private:
  explicit GuestMemory(Regions by_guest);

  Regions by_guest_;  // in the order of their guest addresses
  uint64_t bytes_ = 0;
};

}  // namespace castore::virtiofs
