// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// What a vhost-user front end and a device say to each other, byte for byte: version 1 of the
// protocol, as docs/interop/vhost-user.rst of QEMU describes it. Numbers are in the byte order of
// the machine.
namespace castore::virtiofs::abi {

enum class MessageType : uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kResetOwner = 4,
  kSetMemTable = 5,
  kSetLogBase = 6,
  kSetLogFd = 7,
  kSetVringNum = 8,
  kSetVringAddr = 9,
  kSetVringBase = 10,
  kGetVringBase = 11,
  kSetVringKick = 12,
  kSetVringCall = 13,
  kSetVringErr = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueNum = 17,
  kSetVringEnable = 18,
  kGetConfig = 24,
  kSetConfig = 25,
  kGetInflightFd = 31,
  kSetInflightFd = 32,
  kResetDevice = 34,
  kGetMaxMemSlots = 36,
  kAddMemReg = 37,
  kRemMemReg = 38,
};

inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kVersionMask = 3;
inline constexpr uint32_t kIsReply = 1u << 2;
inline constexpr uint32_t kNeedsReply = 1u << 3;

inline constexpr uint64_t kProtocolMq = uint64_t{1} << 0;
inline constexpr uint64_t kProtocolReplyAck = uint64_t{1} << 3;
inline constexpr uint64_t kProtocolConfig = uint64_t{1} << 9;
inline constexpr uint64_t kProtocolResetDevice = uint64_t{1} << 13;
inline constexpr uint64_t kProtocolMemSlots = uint64_t{1} << 15;

struct MessageHeader {
  uint32_t type;
  uint32_t flags;
  uint32_t payload_bytes;
};
static_assert(sizeof(MessageHeader) == 12);

struct VringState {
  uint32_t index;
  uint32_t number;
};
static_assert(sizeof(VringState) == 8);

struct VringAddress {
  uint32_t index;
  uint32_t flags;
  uint64_t descriptors;
  uint64_t used;
  uint64_t available;
  uint64_t log;
};
static_assert(sizeof(VringAddress) == 40);
inline constexpr uint32_t kVringLog = 1;

// SET_VRING_KICK, _CALL and _ERR: the queue's number, and whether there is no descriptor.
inline constexpr uint64_t kVringIndexMask = 0xff;
inline constexpr uint64_t kVringNoFd = uint64_t{1} << 8;

struct Region {
  uint64_t guest_address;
  uint64_t bytes;
  uint64_t user_address;
  uint64_t file_offset;
};
static_assert(sizeof(Region) == 32);

struct MemTableHead {
  uint32_t count;
  uint32_t padding;
};
static_assert(sizeof(MemTableHead) == 8);
// Regions of one SET_MEM_TABLE; each has a descriptor, and no message has more.
inline constexpr size_t kMemTableRegionsMax = 8;

struct SingleRegion {
  uint64_t padding;
  Region region;
};
static_assert(sizeof(SingleRegion) == 40);

struct ConfigHead {
  uint32_t offset;
  uint32_t bytes;
  uint32_t flags;
};
static_assert(sizeof(ConfigHead) == 12);
inline constexpr size_t kConfigBytesMax = 256;

// The device's configuration (virtio 1.2, section 5.11.4).
struct FsConfig {
  char tag[36];  // UTF-8, ended by zeros if it is shorter
  uint32_t request_queues;
};
static_assert(sizeof(FsConfig) == 40);

}  // namespace castore::virtiofs::abi
