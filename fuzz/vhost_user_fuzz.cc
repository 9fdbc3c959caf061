// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Whatever a front end sends, with whatever descriptors: the connection ends, what was replied is
// well formed, and no descriptor is left open. Queues that it starts have threads, so an input does
// only nearly the same each time.
//
// An input is records: one byte type, one byte flags, one byte length, one byte descriptors (low
// half: how many; high half: of what), then the payload. The type 255 is no message, but puts the
// payload into the guest's memory: two bytes address (little endian) and what is written there.
// The type 254 lets a queue's thread answer before the front end goes on.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/unique_fd.h"
#include "shown_filesystem.h"
#include "virtiofs/event_fd.h"
#include "virtiofs/message.h"
#include "virtiofs/server.h"
#include "virtiofs/testing/fake_front_end.h"

namespace castore::virtiofs {
namespace {

constexpr uint8_t kNeedsReply = 1;
constexpr uint8_t kOtherVersion = 2;
constexpr uint8_t kReply = 4;
constexpr uint8_t kClaimsMore = 8;   // than follows
constexpr uint8_t kClaimsMuch = 16;  // more than any message has

constexpr size_t kRecordHeadBytes = 4;
constexpr uint8_t kPoke = 255;
constexpr uint8_t kAwaitAnswer = 254;
// The device need not answer, so that is no long wait, and not often done.
constexpr int kPatience_ms = 5;
constexpr int kAwaitsMax = 2;
constexpr size_t kMemoryBytes = 0x10000;
// Replies are not read before the end, and a socket takes so many.
constexpr int kMessagesMax = 64;

// What descriptors can be, by the number in a record.
class Descriptors {
 public:
  Descriptors() {
    fds_[0].reset(::memfd_create("fuzz-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    CASTORE_CHECK(fds_[0] && ::ftruncate(fds_[0].get(), kMemoryBytes) == 0, "there is memory");
    fds_[1].reset(::eventfd(1, EFD_CLOEXEC));  // a kick that has happened
    fds_[2].reset(::eventfd(0, EFD_CLOEXEC));
    fds_[3].reset(::eventfd(~0u, EFD_CLOEXEC | EFD_SEMAPHORE));
    int ends[2];
    CASTORE_CHECK(::pipe2(ends, O_CLOEXEC) == 0, "there are pipes");
    fds_[4].reset(ends[0]);
    fds_[5].reset(ends[1]);
    fds_[6].reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
    fds_[7].reset(::memfd_create("fuzz-sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    CASTORE_CHECK(fds_[7] && ::ftruncate(fds_[7].get(), kMemoryBytes) == 0 &&
                      ::fcntl(fds_[7].get(), F_ADD_SEALS, F_SEAL_WRITE) == 0,
                  "memory can be sealed");
  }
  int operator[](size_t kind) const { return fds_[kind % fds_.size()].get(); }
  int memory() const { return fds_[0].get(); }
  int event() const { return fds_[2].get(); }

 private:
  std::array<UniqueFd, 8> fds_;
};

size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

void poke(int memory, ByteView payload) {
  uint16_t address = 0;
  if (payload.size() < sizeof address) return;
  std::memcpy(&address, payload.data(), sizeof address);
  payload = payload.subspan(sizeof address);
  payload = payload.first(std::min(payload.size(), kMemoryBytes - address));
  CASTORE_CHECK(::pwrite(memory, payload.data(), payload.size(), address) >= 0,
                "memory can be written");
}

void await_answer(int event) {
  pollfd polled{.fd = event, .events = POLLIN, .revents = 0};
  if (::poll(&polled, 1, kPatience_ms) == 1) clear_event(event);
}

// False: the device has gone.
bool send(testing::FakeFrontEnd& front_end, uint8_t type, uint8_t flags, ByteView payload,
          std::span<const int> fds) {
  abi::MessageHeader header{
      .type = type, .flags = abi::kVersion, .payload_bytes = static_cast<uint32_t>(payload.size())};
  if ((flags & kNeedsReply) != 0) header.flags |= abi::kNeedsReply;
  if ((flags & kOtherVersion) != 0) header.flags ^= abi::kVersionMask;
  if ((flags & kReply) != 0) header.flags |= abi::kIsReply;
  if ((flags & kClaimsMore) != 0) header.payload_bytes += 13;
  if ((flags & kClaimsMuch) != 0) header.payload_bytes |= 0x8000'0000;
  std::vector<std::byte> bytes = payload_of(header);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return front_end.send_raw(bytes, fds);
}

void send_all(testing::FakeFrontEnd& front_end, const Descriptors& descriptors, ByteView input) {
  int awaits = 0;
  for (int count = 0; input.size() >= kRecordHeadBytes && count < kMessagesMax; ++count) {
    const auto type = std::to_integer<uint8_t>(input[0]);
    const auto flags = std::to_integer<uint8_t>(input[1]);
    const size_t length =
        std::min(std::to_integer<size_t>(input[2]), input.size() - kRecordHeadBytes);
    const auto what = std::to_integer<uint8_t>(input[3]);
    const ByteView payload = input.subspan(kRecordHeadBytes, length);
    input = input.subspan(kRecordHeadBytes + length);
    if (type == kPoke) {
      poke(descriptors.memory(), payload);
      continue;
    }
    if (type == kAwaitAnswer) {
      if (++awaits <= kAwaitsMax) await_answer(descriptors.event());
      continue;
    }
    const std::vector<int> fds(what & 0xf, descriptors[what >> 4]);
    if (!send(front_end, type, flags, payload, fds)) return;
  }
}

// Everything that the device said until it went.
void expect_replies(int socket) {
  std::vector<std::byte> said;
  std::array<std::byte, 4096> piece;
  for (ssize_t n = 0; (n = ::recv(socket, piece.data(), piece.size(), 0)) > 0;)
    said.insert(said.end(), piece.begin(), piece.begin() + n);
  for (ByteView left = said; !left.empty();) {
    abi::MessageHeader header;
    CASTORE_CHECK(left.size() >= sizeof header, "a reply has a header");
    std::memcpy(&header, left.data(), sizeof header);
    left = left.subspan(sizeof header);
    CASTORE_CHECK(header.flags == (abi::kVersion | abi::kIsReply), "a reply says that it is one");
    CASTORE_CHECK(header.payload_bytes <= left.size(), "a reply is as long as it says");
    left = left.subspan(header.payload_bytes);
  }
}

void play(ByteView input) {
  int ends[2];
  CASTORE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0,
                "there are sockets");
  UniqueFd device(ends[0]);
  const int socket = ends[1];
  testing::FakeFrontEnd front_end{UniqueFd(socket)};
  const Descriptors descriptors;
  auto guest = GuestConnection::start(std::move(device), fuzz::shown_filesystem,
                                      {.tag = "fuzz", .request_queues = 2});
  CASTORE_CHECK(guest, "the device starts");
  send_all(front_end, descriptors, input);
  CASTORE_CHECK(::shutdown(socket, SHUT_WR) == 0, "a front end can hang up");
  (void)(*guest)->wait();
  guest->reset();
  expect_replies(socket);
}

}  // namespace
}  // namespace castore::virtiofs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace castore;
  (void)fuzz::shown_filesystem();
  const size_t before = virtiofs::open_descriptors();
  virtiofs::play(std::as_bytes(std::span(data, size)));
  CASTORE_CHECK(virtiofs::open_descriptors() == before, "each descriptor is closed");
  return 0;
}
