// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "virtiofs/message.h"

namespace castore::virtiofs::testing {

// Speaks vhost-user to a device, as a virtual machine monitor would or as it never would. Waits
// for replies at most as long as a test may take to fail. One thread at a time.
class FakeFrontEnd {
 public:
  explicit FakeFrontEnd(UniqueFd socket) : socket_(std::move(socket)) {}

  // Sends bytes as they are, with descriptors beside the first. False: the device has gone.
  bool send_raw(ByteView bytes, std::span<const int> fds = {});
  // Sends a message of version 1.
  bool send(abi::MessageType type, ByteView payload, std::span<const int> fds = {},
            uint32_t flags = 0);
  template <typename T>
  bool send(abi::MessageType type, const T& payload, std::span<const int> fds = {},
            uint32_t flags = 0) {
    return send(type, ByteView(payload_of(payload)), fds, flags);
  }

  // The next reply's payload. Nothing: the device has gone.
  std::optional<std::vector<std::byte>> reply();
  std::optional<uint64_t> number_reply();

  // Sends a message that wants to be acknowledged; gives what it was answered, 0 being success.
  template <typename T>
  std::optional<uint64_t> acknowledged(abi::MessageType type, const T& payload,
                                       std::span<const int> fds = {}) {
    if (!send(type, payload, fds, abi::kNeedsReply)) return std::nullopt;
    return number_reply();
  }
  // What a GET_... without a payload is answered.
  std::optional<uint64_t> ask(abi::MessageType type);

  void hang_up() { socket_.reset(); }

 private:
  UniqueFd socket_;
};

}  // namespace castore::virtiofs::testing
