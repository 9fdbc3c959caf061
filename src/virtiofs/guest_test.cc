// SPDX-License-Identifier: MIT OR Apache-2.0
// What guests do, each through shared memory and a socket.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "virtiofs/testing/guest_fixture.h"

namespace castore::virtiofs {
namespace {

using fuse::testing::FakeKernel;
using testing::FakeGuest;
using testing::GuestTest;
using Guest = GuestTest;

template <typename T>
int error_of(const fuse::testing::Answered<T>& answered) {
  return answered ? 0 : answered.error();
}

TEST_F(Guest, SeesWhatTheFilesystemShows) {
  start();
  auto file = kernel_->getattr(node("a"));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->attr.mode, static_cast<uint32_t>(S_IFREG | 0444));
  EXPECT_EQ(file->attr.size, 2u);
  EXPECT_EQ(kernel_->getattr(node("folder/run"))->attr.mode, static_cast<uint32_t>(S_IFREG | 0555));
  EXPECT_EQ(kernel_->readlink(node("folder/link")), "hello");
  EXPECT_EQ(kernel_->read(node("a"), 0, 0, 100), store::testing::blob_a());
  EXPECT_EQ(error_of(kernel_->lookup(fuse::abi::kRootNode, "absent")), ENOENT);
  EXPECT_EQ(error_of(kernel_->readdir(node("lost-folder"), 0, 0, 4096)), EIO);
  EXPECT_EQ(error_of(kernel_->read(node("lost-file"), 0, 0, 2)), EIO);
  auto lines = kernel_->readdirplus(node("folder"), 0, 0, 65536);
  ASSERT_TRUE(lines);
  ASSERT_EQ(lines->size(), 3u);
  EXPECT_EQ((*lines)[0].name, "hello");
  EXPECT_EQ((*lines)[1].name, "link");
  EXPECT_EQ((*lines)[2].name, "run");
}

TEST_F(Guest, CannotListARootThatIsNotToBeListed) {
  start();
  EXPECT_EQ(error_of(kernel_->readdir(fuse::abi::kRootNode, 0, 0, 4096)), EPERM);
}

TEST_F(Guest, ListsTheRootWhereThatIsAllowed) {
  fs_options_.list_root = true;
  start();
  auto open = kernel_->opendir(fuse::abi::kRootNode);
  ASSERT_TRUE(open);
  auto lines = kernel_->readdir(fuse::abi::kRootNode, open->fh, 0, 4096);
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines->size(), root_.size());
}

TEST_F(Guest, ReadsAMebibyteAtOnce) {
  start();
  EXPECT_EQ(kernel_->read(node("b"), 0, 0, 1 << 20), store::testing::blob_b());
}

TEST_F(Guest, IsServedWithEachSetOfFeatures) {
  for (bool event_index : {false, true}) {
    for (bool indirect : {false, true}) {
      for (bool memory_table : {false, true}) {
        start({.event_index = event_index, .indirect = indirect, .memory_table = memory_table});
        EXPECT_EQ(kernel_->read(node("b"), 0, 0, 1 << 20), store::testing::blob_b());
        // Beyond the places of the queue, and once around its index.
        const uint64_t file = node("a");
        for (int i = 0; i < 1000; ++i) ASSERT_TRUE(kernel_->getattr(file));
        hang_up();
        EXPECT_EQ(end(), std::nullopt);
      }
    }
  }
}

TEST_F(Guest, IsServedByManyQueuesAtOnce) {
  start({.request_queues = 8});
  const uint64_t file = node("b");
  const std::string expected = store::testing::blob_b();
  std::vector<std::thread> threads;
  for (uint16_t i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      FakeKernel kernel(guest_->exchange_through(static_cast<uint16_t>(1 + i % 8)),
                        1000000u * (i + 1u));
      for (int n = 0; n < 50; ++n) EXPECT_EQ(kernel.read(file, 0, 0, 1 << 20), expected);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(connection_->facts().queues, 9u);
}

TEST_F(Guest, ForgetsThroughTheUrgentQueue) {
  start();
  const uint64_t folder = node("folder");
  EXPECT_EQ(connection_->facts().totals.nodes, 1u);
  kernel_->forget(folder, 1);
  EXPECT_EQ(connection_->facts().totals.nodes, 0u);
}

// Waiting for a slow store must not hold up what is at hand, on the same queue.
TEST_F(Guest, IsAnsweredWhileAnotherRequestWaitsForTheStore) {
  start();
  const uint64_t slow = node("a");
  gated_->open_gate().close();
  FakeKernel other(guest_->exchange_through(1), 5000);
  std::thread reader([&] { EXPECT_EQ(other.read(slow, 0, 0, 100), store::testing::blob_a()); });
  gated_->open_gate().wait_until_held(1);
  EXPECT_EQ(kernel_->readlink(node("folder/link")), "hello");
  gated_->open_gate().open();
  reader.join();
}

TEST_F(Guest, GoesOnAfterAQueueWasStoppedAndStarted) {
  start();
  expect_sound();
  auto base = guest_->stop_queue(1);
  ASSERT_TRUE(base);
  ASSERT_TRUE(guest_->start_queue(1, static_cast<uint16_t>(*base)));
  expect_sound();
  ASSERT_TRUE(guest_->enable_queue(1, false));
  ASSERT_TRUE(guest_->enable_queue(1, true));
  expect_sound();
}

TEST_F(Guest, StoppingAQueueAnswersWhatWaitsForTheStore) {
  start();
  const uint64_t slow = node("a");
  gated_->open_gate().close();
  FakeKernel other(guest_->exchange_through(1), 5000);
  std::thread reader([&] { EXPECT_EQ(error_of(other.read(slow, 0, 0, 100)), EINTR); });
  gated_->open_gate().wait_until_held(1);
  EXPECT_TRUE(guest_->stop_queue(1));
  reader.join();
  gated_->open_gate().open();
}

// A machine that is reset says nothing about what its last kernel held.
TEST_F(Guest, BeginsAnewWhenItsNextKernelGreets) {
  start();
  const uint64_t old = node("folder");
  for (uint16_t queue = 0; queue < 2; ++queue) {
    ASSERT_TRUE(guest_->stop_queue(queue));
    guest_->renew_ring(queue);
    ASSERT_TRUE(guest_->start_queue(queue));
  }
  FakeKernel next(guest_->exchange_through(1));
  ASSERT_TRUE(next.init());
  EXPECT_EQ(connection_->facts().totals.nodes, 0u);
  EXPECT_EQ(next.read(node(next, "folder/hello"), 0, 0, 100), "Hello World!");
  EXPECT_NE(old, 0u);
}

TEST_F(Guest, ResetDeviceBeginsAnew) {
  start();
  expect_sound();
  for (auto type : {abi::MessageType::kResetDevice, abi::MessageType::kResetOwner}) {
    ASSERT_TRUE(guest_->front_end().send(type, ByteView()));
    for (uint16_t queue = 0; queue < 2; ++queue) {
      guest_->renew_ring(queue);
      ASSERT_TRUE(guest_->start_queue(queue));
      ASSERT_TRUE(guest_->enable_queue(queue, true));
    }
    ASSERT_TRUE(kernel_->init());
    expect_sound();
  }
}

TEST_F(Guest, MeetsTheLimitOfNodesAndGoesOnAfterForgetting) {
  options_.nodes_max = 3;
  start();
  const uint64_t folder = node("folder");
  const uint64_t hello = node("a");
  node("b");
  EXPECT_EQ(error_of(kernel_->lookup(fuse::abi::kRootNode, "lost-file")), ENFILE);
  EXPECT_EQ(error_of(kernel_->readdirplus(folder, 0, 0, 4096)), ENFILE);
  EXPECT_TRUE(kernel_->readdir(folder, 0, 0, 4096)) << "holds nothing";
  EXPECT_TRUE(kernel_->getattr(hello));
  kernel_->forget(hello, 1);
  EXPECT_TRUE(kernel_->lookup(fuse::abi::kRootNode, "lost-file"));
}

TEST_F(Guest, MeetsTheLimitOfHandlesAndGoesOnAfterReleasing) {
  fs_options_.list_root = true;
  start();
  uint64_t last = 0;
  for (int i = 0; i < 1024; ++i) last = kernel_->opendir(fuse::abi::kRootNode)->fh;
  EXPECT_EQ(error_of(kernel_->opendir(fuse::abi::kRootNode)), ENFILE);
  EXPECT_EQ(kernel_->releasedir(fuse::abi::kRootNode, last), 0);
  EXPECT_TRUE(kernel_->opendir(fuse::abi::kRootNode));
}

TEST_F(Guest, EndsWhenAStopIsRequested) {
  start();
  connection_->request_stop();
  EXPECT_EQ(end(), std::nullopt);
}

TEST_F(Guest, ThatLeavesDoesNotWaitForAStuckStore) {
  start();
  const uint64_t slow = node("a");
  gated_->open_gate().close();
  FakeKernel other(guest_->exchange_through(1), 5000);
  fuse::abi::ReadIn read_in{};
  read_in.size = 2;
  auto request = other.frame(fuse::abi::Opcode::kRead, slow, FakeKernel::bytes_of_struct(read_in));
  guest_->submit(1, request, 100);
  gated_->open_gate().wait_until_held(1);
  hang_up();
  EXPECT_EQ(end(), ErrorKind::kUnavailable);
  gated_->open_gate().open();
}

}  // namespace
}  // namespace castore::virtiofs
