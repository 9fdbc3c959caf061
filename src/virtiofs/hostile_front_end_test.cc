// SPDX-License-Identifier: MIT OR Apache-2.0
// What no front end says that means well.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "virtiofs/testing/guest_fixture.h"

namespace castore::virtiofs {
namespace {

using abi::MessageType;
using testing::FakeFrontEnd;
using testing::FakeGuest;
using testing::GuestTest;

size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

class HostileFrontEnd : public GuestTest {
 protected:
  std::optional<ErrorKind> end_of(MessageType type, ByteView payload,
                                  const std::vector<int>& fds = {}) {
    FakeFrontEnd front_end(start_device());
    front_end.send(type, payload, fds);
    return end();
  }
};

TEST_F(HostileFrontEnd, SendsMessagesOfAnotherLengthThanTheyHave) {
  const std::vector<std::byte> bytes(600);
  for (uint32_t type : {1u, 2u, 5u, 8u, 9u, 11u, 12u, 16u, 18u, 24u, 36u, 37u, 38u})
    for (size_t length : {3u, 7u, 100u, 600u})
      EXPECT_EQ(end_of(static_cast<MessageType>(type), ByteView(bytes).first(length)),
                ErrorKind::kInvalidArgument)
          << type << " with " << length;
}

TEST_F(HostileFrontEnd, AsksForWhatIsNotThere) {
  for (uint32_t type : {0u, 6u, 7u, 21u, 25u, 28u, 31u, 32u, 39u, 42u, 1000u})
    EXPECT_EQ(end_of(static_cast<MessageType>(type), {}), ErrorKind::kUnsupported) << type;
}

TEST_F(HostileFrontEnd, NamesQueuesThatAreNotThere) {
  EXPECT_EQ(end_of(MessageType::kSetVringNum, payload_of(abi::VringState{2, 64})),
            ErrorKind::kInvalidArgument);
  EXPECT_EQ(end_of(MessageType::kGetVringBase, payload_of(abi::VringState{~0u, 0})),
            ErrorKind::kInvalidArgument);
}

TEST_F(HostileFrontEnd, SetsSizesThatCannotBe) {
  for (uint32_t size : {0u, 3u, 2048u, 65536u})
    EXPECT_EQ(end_of(MessageType::kSetVringNum, payload_of(abi::VringState{1, size})),
              ErrorKind::kInvalidArgument);
}

TEST_F(HostileFrontEnd, AgreesOnWhatWasNotOffered) {
  EXPECT_EQ(end_of(MessageType::kSetFeatures, payload_of(~uint64_t{0})),
            ErrorKind::kInvalidArgument);
  EXPECT_EQ(end_of(MessageType::kSetProtocolFeatures, payload_of(~uint64_t{0})),
            ErrorKind::kInvalidArgument);
}

TEST_F(HostileFrontEnd, SendsDescriptorsNobodyWantsAndTheyAreClosed) {
  const size_t before = open_descriptors();
  for (size_t count : {1u, 8u, 9u, 30u}) {
    const std::vector<int> fds(count, STDIN_FILENO);
    EXPECT_EQ(end_of(MessageType::kSetOwner, {}, fds), ErrorKind::kInvalidArgument) << count;
    EXPECT_EQ(end_of(MessageType::kSetMemTable, payload_of(abi::MemTableHead{8, 0}), fds),
              ErrorKind::kInvalidArgument);
  }
  connection_.reset();
  EXPECT_EQ(open_descriptors(), before);
}

// A queue's thread was gone a little later than the connection was said to be, and so was what it
// had open.
TEST_F(HostileFrontEnd, LeavesAndNothingOfItsQueuesStaysOpen) {
  const size_t before = open_descriptors();
  for (int i = 0; i < 20; ++i) {
    start();
    kernel_.reset();
    guest_.reset();
    EXPECT_EQ(end(), std::nullopt);
    connection_.reset();
    EXPECT_EQ(open_descriptors(), before);
  }
}

TEST_F(HostileFrontEnd, GivesAFileForAnEvent) {
  FakeGuest guest(start_device());
  ASSERT_TRUE(guest.negotiate());
  const int fd = guest.memory_fd();
  guest.front_end().send(MessageType::kSetVringKick, uint64_t{1}, {&fd, 1});
  EXPECT_EQ(end(), ErrorKind::kInvalidArgument);
}

TEST_F(HostileFrontEnd, LeavesInTheMiddleOfAMessage) {
  FakeFrontEnd front_end(start_device());
  const auto header = payload_of(abi::MessageHeader{2, abi::kVersion, 8});
  ASSERT_TRUE(front_end.send_raw(ByteView(header).first(7)));
  front_end.hang_up();
  EXPECT_EQ(end(), std::nullopt);
}

TEST_F(HostileFrontEnd, IsNotWaitedForWhenItStallsInAMessage) {
  FakeFrontEnd front_end(start_device());
  const auto header = payload_of(abi::MessageHeader{2, abi::kVersion, 8});
  ASSERT_TRUE(front_end.send_raw(header));
  connection_->request_stop();
  EXPECT_EQ(end(), std::nullopt);
}

TEST_F(HostileFrontEnd, TakesMemoryAwayThatIsInUseAndGivesItBack) {
  start();
  const abi::SingleRegion region{.padding = 0, .region = guest_->region()};
  EXPECT_EQ(guest_->front_end().acknowledged(MessageType::kRemMemReg, region), 0u);
  const int fd = guest_->memory_fd();
  EXPECT_EQ(guest_->front_end().acknowledged(MessageType::kAddMemReg, region, {&fd, 1}), 0u);
  expect_sound();
}

TEST_F(HostileFrontEnd, IsToldTheTagAndTheNumberOfQueues) {
  FakeFrontEnd front_end(start_device());
  struct {
    abi::ConfigHead head;
    abi::FsConfig config;
  } wanted{.head = {.offset = 0, .bytes = sizeof(abi::FsConfig), .flags = 0}, .config = {}};
  ASSERT_TRUE(front_end.send(MessageType::kGetConfig, wanted));
  auto payload = front_end.reply();
  ASSERT_TRUE(payload);
  ASSERT_EQ(payload->size(), sizeof wanted);
  std::memcpy(&wanted, payload->data(), sizeof wanted);
  EXPECT_STREQ(wanted.config.tag, "store");
  EXPECT_EQ(wanted.config.request_queues, 1u);
  EXPECT_EQ(front_end.ask(MessageType::kGetMaxMemSlots), kRegionsMax);
}

}  // namespace
}  // namespace castore::virtiofs
