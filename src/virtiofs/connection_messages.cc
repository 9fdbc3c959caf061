// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What each message of a front end does.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "virtiofs/connection.h"
#include "virtiofs/ring_abi.h"

namespace castore::virtiofs {

using abi::MessageType;
using Connection = GuestConnection::Connection;

namespace {

RegionPlace place_of(const abi::Region& region) {
  return {.guest_address = region.guest_address,
          .bytes = region.bytes,
          .user_address = region.user_address,
          .file_offset = region.file_offset};
}

}  // namespace

Result<Connection::Payload> Connection::get_number(const Message& message, uint64_t number) {
  if (!message.payload.empty() || !message.fds.empty()) return malformed(message);
  return payload_of(number);
}

Result<Connection::Payload> Connection::set_features(const Message& message) {
  const auto features = CASTORE_TRY(payload_as<uint64_t>(message));
  if ((features & ~kFeatures) != 0)
    return fail(ErrorKind::kInvalidArgument, "features {:#x} were agreed on, and {:#x} offered",
                features, kFeatures);
  features_ = features;
  for (auto& queue : queues_) queue->set_features(features);
  return std::nullopt;
}

Result<Connection::Payload> Connection::set_protocol_features(const Message& message) {
  const auto features = CASTORE_TRY(payload_as<uint64_t>(message));
  if ((features & ~kProtocolFeatures) != 0)
    return fail(ErrorKind::kInvalidArgument,
                "protocol features {:#x} were agreed on, and {:#x} offered", features,
                kProtocolFeatures);
  protocol_features_ = features;
  return std::nullopt;
}

Result<Connection::Payload> Connection::set_memory_table(Message& message) {
  abi::MemTableHead head{};
  if (message.payload.size() < sizeof head) return malformed(message);
  std::memcpy(&head, message.payload.data(), sizeof head);
  if (head.count > abi::kMemTableRegionsMax || head.count != message.fds.size() ||
      message.payload.size() != sizeof head + head.count * sizeof(abi::Region))
    return malformed(message);
  GuestMemory::Regions regions;
  for (size_t i = 0; i < head.count; ++i) {
    abi::Region region{};
    std::memcpy(&region, message.payload.data() + sizeof head + i * sizeof region, sizeof region);
    regions.push_back(CASTORE_TRY(MemoryRegion::map(place_of(region), message.fds[i].get())));
  }
  CASTORE_TRY(use_memory(std::move(regions)));
  return std::nullopt;
}

Result<Connection::Payload> Connection::add_region(Message& message) {
  auto added = message.as<abi::SingleRegion>();
  if (!added || message.fds.size() != 1) return malformed(message);
  auto regions = memory_ ? memory_->regions() : GuestMemory::Regions();
  if (regions.size() == kRegionsMax)
    return fail(ErrorKind::kExhausted, "a guest may have {} memory regions", kRegionsMax);
  regions.push_back(
      CASTORE_TRY(MemoryRegion::map(place_of(added->region), message.fds.front().get())));
  CASTORE_TRY(use_memory(std::move(regions)));
  return std::nullopt;
}

Result<Connection::Payload> Connection::remove_region(Message& message) {
  auto removed = message.as<abi::SingleRegion>();
  // Some front ends send the descriptor along.
  if (!removed || message.fds.size() > 1) return malformed(message);
  const RegionPlace place = place_of(removed->region);
  auto regions = memory_ ? memory_->regions() : GuestMemory::Regions();
  const size_t count = std::erase_if(regions, [&](const auto& region) {
    return region->place().guest_address == place.guest_address &&
           region->place().user_address == place.user_address &&
           region->place().bytes == place.bytes;
  });
  if (count == 0)
    return fail(ErrorKind::kInvalidArgument,
                "the front end takes away a memory region that it did not give");
  CASTORE_TRY(use_memory(std::move(regions)));
  return std::nullopt;
}

Result<void> Connection::use_memory(GuestMemory::Regions regions) {
  memory_ = CASTORE_TRY(GuestMemory::of(std::move(regions)));
  for (auto& queue : queues_) CASTORE_TRY(queue->set_memory(memory_));
  return {};
}

Result<Connection::Payload> Connection::set_vring_number(const Message& message) {
  const auto state = CASTORE_TRY(payload_as<abi::VringState>(message));
  GuestQueue* named = CASTORE_TRY(queue(state.index));
  if (message.type() == MessageType::kSetVringNum) {
    CASTORE_TRY(named->set_size(state.number));
  } else if (message.type() == MessageType::kSetVringBase) {
    CASTORE_TRY(named->set_base(state.number));
  } else {
    if (state.number > 1) return malformed(message);
    CASTORE_TRY(named->set_enabled(state.number == 1));
  }
  return std::nullopt;
}

Result<Connection::Payload> Connection::set_vring_address(const Message& message) {
  const auto address = CASTORE_TRY(payload_as<abi::VringAddress>(message));
  if ((address.flags & abi::kVringLog) != 0)
    return fail(ErrorKind::kUnsupported,
                "the front end wants what is written to a queue logged, as for a live migration");
  GuestQueue* named = CASTORE_TRY(queue(address.index));
  CASTORE_TRY(named->set_place(
      {.descriptors = address.descriptors, .available = address.available, .used = address.used}));
  return std::nullopt;
}

Result<Connection::Payload> Connection::set_vring_fd(Message& message) {
  auto which = message.as<uint64_t>();
  if (!which || (*which & ~(abi::kVringIndexMask | abi::kVringNoFd)) != 0)
    return malformed(message);
  const bool has_fd = (*which & abi::kVringNoFd) == 0;
  if (message.fds.size() != (has_fd ? 1 : 0)) return malformed(message);
  GuestQueue* named = CASTORE_TRY(queue(*which & abi::kVringIndexMask));
  UniqueFd fd = has_fd ? std::move(message.fds.front()) : UniqueFd();
  if (message.type() == MessageType::kSetVringCall) {
    CASTORE_TRY(named->set_call(std::move(fd)));
  } else if (message.type() == MessageType::kSetVringErr) {
    CASTORE_TRY(named->set_error(std::move(fd)));
  } else {
    if (!has_fd)
      return fail(ErrorKind::kUnsupported,
                  "the front end wants a queue to be looked at all the time");
    CASTORE_TRY(named->set_kick(std::move(fd)));
    // Without the messages that enable queues they are so from the beginning.
    if ((features_ & abi::kVhostProtocolFeatures) == 0) CASTORE_TRY(named->set_enabled(true));
  }
  return std::nullopt;
}

Result<Connection::Payload> Connection::stop_vring(const Message& message) {
  auto state = CASTORE_TRY(payload_as<abi::VringState>(message));
  GuestQueue* named = CASTORE_TRY(queue(state.index));
  state.number = CASTORE_TRY(named->stop(*this));
  return payload_of(state);
}

Result<Connection::Payload> Connection::get_config(const Message& message) {
  abi::ConfigHead head{};
  if (message.payload.size() < sizeof head || !message.fds.empty()) return malformed(message);
  std::memcpy(&head, message.payload.data(), sizeof head);
  if (head.bytes > abi::kConfigBytesMax || message.payload.size() != sizeof head + head.bytes)
    return malformed(message);
  abi::FsConfig config{};
  std::copy(options_.tag.begin(), options_.tag.end(), std::begin(config.tag));
  config.request_queues = options_.request_queues;
  // What a later version of the specification may have behind that is 0.
  std::vector<std::byte> payload(message.payload.size());
  std::memcpy(payload.data(), &head, sizeof head);
  if (head.offset < sizeof config)
    std::memcpy(payload.data() + sizeof head,
                reinterpret_cast<const std::byte*>(&config) + head.offset,
                std::min<size_t>(head.bytes, sizeof config - head.offset));
  return payload;
}

Result<Connection::Payload> Connection::reset(const Message& message) {
  if (!message.payload.empty() || !message.fds.empty()) return malformed(message);
  for (auto& queue : queues_) CASTORE_TRY(queue->reset(*this));
  return std::nullopt;
}

}  // namespace castore::virtiofs
