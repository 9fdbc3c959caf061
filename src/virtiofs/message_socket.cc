// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/message_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace castore::virtiofs {
namespace {

// As many as one message may bring, and the same in bytes of control data.
constexpr size_t kFdsMax = abi::kMemTableRegionsMax;

struct ControlBuffer {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kFdsMax)> bytes;
};

bool means_gone(int errno_value) {
  return errno_value == ECONNRESET || errno_value == EPIPE || errno_value == ENOTCONN;
}

// From here on they are closed on every path.
std::vector<UniqueFd> take_fds(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Result<bool> MessageSocket::wait_for(short events) {
  for (;;) {
    std::array<pollfd, 2> polled{{{.fd = socket_.get(), .events = events, .revents = 0},
                                  {.fd = stop_event_, .events = POLLIN, .revents = 0}}};
    int n = ::poll(polled.data(), polled.size(), -1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "waiting for the front end");
    if (polled[1].revents != 0) return false;
    return true;  // to be used, or to be found closed
  }
}

Result<bool> MessageSocket::fill(MutableByteView out, std::vector<UniqueFd>* fds) {
  while (!out.empty()) {
    if (!CASTORE_TRY(wait_for(POLLIN))) return false;
    iovec piece{.iov_base = out.data(), .iov_len = out.size()};
    ControlBuffer control;
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    // Descriptors beside anything but a message's first byte are closed by the kernel.
    if (fds != nullptr) {
      message.msg_control = control.bytes.data();
      message.msg_controllen = control.bytes.size();
    }
    ssize_t n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n == 0 || (n < 0 && means_gone(errno))) return false;
    if (n < 0) return fail_errno(errno, "reading from the front end");
    if (fds != nullptr) {
      *fds = take_fds(message);
      if ((message.msg_flags & MSG_CTRUNC) != 0)
        return fail(ErrorKind::kInvalidArgument,
                    "a vhost-user message has more than {} descriptors", kFdsMax);
      fds = nullptr;
    }
    out = out.subspan(static_cast<size_t>(n));
  }
  return true;
}

Result<std::optional<Message>> MessageSocket::receive() {
  Message message;
  MutableByteView header(reinterpret_cast<std::byte*>(&message.header), sizeof message.header);
  if (!CASTORE_TRY(fill(header, &message.fds))) return std::nullopt;
  if ((message.header.flags & abi::kVersionMask) != abi::kVersion)
    return fail(ErrorKind::kInvalidArgument, "the front end speaks another version of vhost-user");
  if ((message.header.flags & abi::kIsReply) != 0)
    return fail(ErrorKind::kInvalidArgument, "the front end replies to what it was not asked");
  if (message.header.payload_bytes > kPayloadBytesMax)
    return fail(ErrorKind::kInvalidArgument, "a vhost-user message {} of {} bytes is too long",
                message.header.type, message.header.payload_bytes);
  message.payload.resize(message.header.payload_bytes);
  if (!CASTORE_TRY(fill(message.payload, nullptr))) return std::nullopt;
  return message;
}

Result<bool> MessageSocket::reply(const Message& to, ByteView payload, int fd) {
  abi::MessageHeader header{.type = to.header.type,
                            .flags = abi::kVersion | abi::kIsReply,
                            .payload_bytes = static_cast<uint32_t>(payload.size())};
  std::vector<std::byte> bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  ByteView left = bytes;
  while (!left.empty()) {
    if (!CASTORE_TRY(wait_for(POLLOUT))) return false;
    iovec piece{.iov_base = const_cast<std::byte*>(left.data()), .iov_len = left.size()};
    ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (fd >= 0) {
      message.msg_control = control.bytes.data();
      message.msg_controllen = CMSG_SPACE(sizeof fd);
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof fd);
      std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    ssize_t n = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0 && means_gone(errno)) return false;
    if (n < 0) return fail_errno(errno, "answering the front end");
    fd = -1;
    left = left.subspan(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace castore::virtiofs
