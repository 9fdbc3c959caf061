// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/testing/fake_front_end.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace castore::virtiofs::testing {
namespace {

constexpr int kPatience_ms = 60'000;
constexpr size_t kFdsMax = 32;

}  // namespace

bool FakeFrontEnd::send_raw(ByteView bytes, std::span<const int> fds) {
  CASTORE_CHECK(fds.size() <= kFdsMax, "a test sends few descriptors");
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kFdsMax)> control{};
  while (!bytes.empty()) {
    iovec piece{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(fds.size_bytes());
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(fds.size_bytes());
      std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
    }
    ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    fds = {};
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool FakeFrontEnd::send(abi::MessageType type, ByteView payload, std::span<const int> fds,
                        uint32_t flags) {
  abi::MessageHeader header{.type = static_cast<uint32_t>(type),
                            .flags = abi::kVersion | flags,
                            .payload_bytes = static_cast<uint32_t>(payload.size())};
  std::vector<std::byte> bytes = payload_of(header);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return send_raw(bytes, fds);
}

std::optional<std::vector<std::byte>> FakeFrontEnd::reply() {
  auto fill = [this](MutableByteView out) {
    while (!out.empty()) {
      pollfd polled{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      CASTORE_CHECK(::poll(&polled, 1, kPatience_ms) == 1, "the device replies or goes");
      ssize_t n = ::recv(socket_.get(), out.data(), out.size(), 0);
      if (n <= 0) return false;
      out = out.subspan(static_cast<size_t>(n));
    }
    return true;
  };
  abi::MessageHeader header{};
  if (!fill({reinterpret_cast<std::byte*>(&header), sizeof header})) return std::nullopt;
  CASTORE_CHECK((header.flags & abi::kIsReply) != 0, "the device only replies");
  std::vector<std::byte> payload(header.payload_bytes);
  if (!fill(payload)) return std::nullopt;
  return payload;
}

std::optional<uint64_t> FakeFrontEnd::number_reply() {
  auto payload = reply();
  if (!payload) return std::nullopt;
  uint64_t number = 0;
  CASTORE_CHECK(payload->size() == sizeof number, "the reply is a number");
  std::memcpy(&number, payload->data(), sizeof number);
  return number;
}

std::optional<uint64_t> FakeFrontEnd::ask(abi::MessageType type) {
  if (!send(type, ByteView())) return std::nullopt;
  return number_reply();
}

}  // namespace castore::virtiofs::testing
