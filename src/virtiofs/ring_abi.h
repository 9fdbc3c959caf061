// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

// The split virtqueue as it lies in guest memory (virtio 1.2, section 2.7). Declared here, as
// <linux/virtio_ring.h> is not C++. Everything is little endian.
namespace castore::virtiofs::abi {

static_assert(std::endian::native == std::endian::little, "rings are read without swapping bytes");

// Feature bits of the device (virtio 1.2, section 6), and the one that vhost-user adds.
inline constexpr uint64_t kRingIndirectDesc = uint64_t{1} << 28;
inline constexpr uint64_t kRingEventIdx = uint64_t{1} << 29;
inline constexpr uint64_t kVhostProtocolFeatures = uint64_t{1} << 30;
inline constexpr uint64_t kVersion1 = uint64_t{1} << 32;

struct Descriptor {
  uint64_t address;  // in the guest
  uint32_t bytes;
  uint16_t flags;
  uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);

inline constexpr uint16_t kDescNext = 1;
inline constexpr uint16_t kDescWrite = 2;  // for the device to write to
inline constexpr uint16_t kDescIndirect = 4;

// The available ring: `flags`, `index`, one number for each place, and with kRingEventIdx the
// number of the used entry that the driver wants to be told of.
inline constexpr size_t kRingHeadBytes = 4;
inline constexpr size_t kRingIndexOffset = 2;
inline constexpr uint16_t kAvailNoInterrupt = 1;
constexpr size_t available_bytes(size_t size) {
  return kRingHeadBytes + 2 * size + 2;
}

// The used ring: the same with an entry of two numbers.
struct UsedEntry {
  uint32_t head;
  uint32_t bytes;  // written
};
static_assert(sizeof(UsedEntry) == 8);
inline constexpr uint16_t kUsedNoNotify = 1;
constexpr size_t used_bytes(size_t size) {
  return kRingHeadBytes + sizeof(UsedEntry) * size + 2;
}

constexpr size_t descriptors_bytes(size_t size) {
  return sizeof(Descriptor) * size;
}

}  // namespace castore::virtiofs::abi
