// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "virtiofs/vhost_user_abi.h"

namespace castore::virtiofs {

// The longest that is spoken is a SET_MEM_TABLE; GET_CONFIG comes near.
inline constexpr size_t kPayloadBytesMax = 512;

struct Message {
  abi::MessageHeader header{};
  std::vector<std::byte> payload;
  std::vector<UniqueFd> fds;

  abi::MessageType type() const { return static_cast<abi::MessageType>(header.type); }
  bool needs_reply() const { return (header.flags & abi::kNeedsReply) != 0; }

  // The payload as the one struct it has to be; nothing: it has another length.
  template <typename T>
  std::optional<T> as() const {
    if (payload.size() != sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, payload.data(), sizeof value);
    return value;
  }
};

inline std::unexpected<Error> malformed(const Message& message) {
  return fail(ErrorKind::kInvalidArgument,
              "vhost-user message {} with {} bytes and {} descriptors is malformed",
              message.header.type, message.payload.size(), message.fds.size());
}

// The payload of a message that brings no descriptor, as most do.
template <typename T>
Result<T> payload_as(const Message& message) {
  auto value = message.as<T>();
  if (!value || !message.fds.empty()) return malformed(message);
  return *value;
}

template <typename T>
std::vector<std::byte> payload_of(const T& value) {
  std::vector<std::byte> payload(sizeof value);
  std::memcpy(payload.data(), &value, sizeof value);
  return payload;
}

}  // namespace castore::virtiofs
