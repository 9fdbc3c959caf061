// SPDX-License-Identifier: MIT OR Apache-2.0
// What no guest does that means well: it ends its own connection, and no more.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

#include "virtiofs/split_ring.h"
#include "virtiofs/testing/guest_fixture.h"

namespace castore::virtiofs {
namespace {

using testing::FakeGuest;
using testing::GuestTest;

class HostileGuest : public GuestTest {
 protected:
  // Makes one descriptor available, and waits for the end.
  std::optional<ErrorKind> end_of(const abi::Descriptor& descriptor) {
    start();
    guest_->ring(1).set_descriptor(0, descriptor);
    guest_->ring(1).put(0);
    guest_->kick(1);
    return end();
  }
};

constexpr uint64_t kMemory = FakeGuest::kGuestAddress;

TEST_F(HostileGuest, UsesAddressesItHasNoMemoryAt) {
  for (uint64_t address : {uint64_t{0}, kMemory - 1, std::numeric_limits<uint64_t>::max() - 8,
                           kMemory + 2 * FakeGuest::kQueueBytes - 8})
    EXPECT_EQ(end_of({address, 64, 0, 0}), ErrorKind::kInvalidArgument) << address;
}

TEST_F(HostileGuest, LinksDescriptorsInALoop) {
  EXPECT_EQ(end_of({kMemory, 16, abi::kDescNext, 0}), ErrorKind::kInvalidArgument);
}

TEST_F(HostileGuest, LinksToADescriptorBeyondTheQueue) {
  EXPECT_EQ(end_of({kMemory, 16, abi::kDescNext, 128}), ErrorKind::kInvalidArgument);
}

TEST_F(HostileGuest, GivesTablesThatCannotBe) {
  for (uint32_t bytes : {0u, 15u, 17u, 1u << 20})
    EXPECT_EQ(end_of({kMemory, bytes, abi::kDescIndirect, 0}), ErrorKind::kInvalidArgument);
  EXPECT_EQ(end_of({kMemory, 16, abi::kDescIndirect | abi::kDescNext, 1}),
            ErrorKind::kInvalidArgument);
}

TEST_F(HostileGuest, MakesMoreAvailableThanThereArePlaces) {
  start();
  guest_->ring(1).set_available_index(1000);
  guest_->kick(1);
  EXPECT_EQ(end(), ErrorKind::kInvalidArgument);
}

TEST_F(HostileGuest, MakesADescriptorAvailableThatIsNotThere) {
  start();
  guest_->ring(1).put(128);
  guest_->kick(1);
  EXPECT_EQ(end(), ErrorKind::kInvalidArgument);
}

TEST_F(HostileGuest, SaysNothingOrWantsNoAnswer) {
  start();
  // No bytes, part of a header, no room for an answer, and zeros.
  EXPECT_FALSE(guest_->exchange(1, {}, 100));
  const std::vector<std::byte> zeros(200);
  EXPECT_FALSE(guest_->exchange(1, ByteView(zeros).first(39), 100));
  EXPECT_FALSE(guest_->exchange(1, zeros, 0));
  EXPECT_FALSE(guest_->exchange(1, zeros, 15));
  EXPECT_TRUE(guest_->exchange(1, zeros, 100)) << "an error";
  expect_sound();
}

TEST_F(HostileGuest, SendsMoreThanAnyRequestHas) {
  start();
  std::vector<std::byte> long_request(200'000);
  const auto length = static_cast<uint32_t>(long_request.size());
  std::memcpy(long_request.data(), &length, sizeof length);
  EXPECT_TRUE(guest_->exchange(1, long_request, 100));
  expect_sound();
}

TEST_F(HostileGuest, UsesNodesHandlesAndOpcodesThatAreNotThere) {
  start();
  EXPECT_EQ(kernel_->getattr(12345).error(), ENOENT);
  EXPECT_EQ(kernel_->read(12345, 0, 0, 10).error(), ENOENT);
  EXPECT_FALSE(kernel_->read(node("a"), 99, 0, 10));
  EXPECT_EQ(kernel_->call(static_cast<fuse::abi::Opcode>(4000), 1, ByteView()).error, ENOSYS);
  EXPECT_EQ(kernel_->call(fuse::abi::Opcode::kSetupmapping, 1, ByteView()).error, ENOSYS);
  expect_sound();
}

TEST_F(HostileGuest, GreetsAgainAndAgain) {
  start();
  for (int i = 0; i < 100; ++i) kernel_->init();
  EXPECT_LE(connection_->facts().totals.nodes, 1u);
  expect_sound();
}

TEST_F(HostileGuest, PutsOnePlaceInUseManyTimes) {
  start();
  const uint64_t slow = node("a");
  gated_->open_gate().close();
  fuse::abi::ReadIn read_in{};
  read_in.size = 2;
  auto request = kernel_->frame(fuse::abi::Opcode::kRead, slow,
                                fuse::testing::FakeKernel::bytes_of_struct(read_in));
  guest_->submit(1, request, 100);
  for (int i = 0; i < 200; ++i) {
    guest_->ring(1).put(0);
    guest_->kick(1);
    if (i % 20 == 0) ::usleep(1000);
  }
  EXPECT_TRUE(end());
  gated_->open_gate().open();
}

// Without anything that handles it the loss of memory would end the process.
TEST_F(HostileGuest, LosesItsMemory) {
  start();
  expect_sound();
  ASSERT_EQ(::ftruncate(guest_->memory_fd(), 0), 0);
  guest_->kick(1);
  hang_up();
  auto ended = end();
  EXPECT_TRUE(!ended || ended == ErrorKind::kInvalidArgument);
}

TEST_F(HostileGuest, IsDisconnectedAloneAndItsFrontEndIsTold) {
  start();
  auto other = put_aside();
  EXPECT_EQ(end_of({0, 64, 0, 0}), ErrorKind::kInvalidArgument);
  uint64_t failures = 0;
  EXPECT_EQ(::read(guest_->error_event(1).get(), &failures, sizeof failures), 8);
  take_up(std::move(other));
  expect_sound();
}

}  // namespace
}  // namespace castore::virtiofs
