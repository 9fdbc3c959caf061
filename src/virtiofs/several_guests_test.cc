// SPDX-License-Identifier: MIT OR Apache-2.0
// What guests of one store share, and what each has for itself.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>

#include "virtiofs/testing/guest_fixture.h"

namespace castore::virtiofs {
namespace {

using fuse::testing::FakeKernel;
using store::testing::BlobOperation;
using store::testing::DirectoryOperation;

// The first guest is put aside when the second starts.
class SeveralGuests : public testing::GuestTest {
 protected:
  void start_second() {
    first_ = put_aside();
    start();
  }
  uint64_t fetches() {
    return blobs_->faults().calls(BlobOperation::kOpen) +
           directories_->faults().calls(DirectoryOperation::kGet);
  }
  // Listed, looked into and read to its end, as by a kernel that has seen none of it.
  static void read_folder(FakeKernel& kernel) {
    const uint64_t folder = node(kernel, "folder");
    EXPECT_EQ(kernel.readdir(folder, 0, 0, 4096)->size(), 3u);
    EXPECT_EQ(kernel.read(node(kernel, "folder/hello"), 0, 0, 4096), "Hello World!");
    EXPECT_EQ(kernel.read(node(kernel, "b"), 0, 0, 1 << 20), store::testing::blob_b());
  }

  Another first_;
};

TEST_F(SeveralGuests, TheSecondReadsWhatTheFirstFetched) {
  start();
  read_folder(*kernel_);
  const uint64_t before = fetches();
  EXPECT_EQ(before, 3u) << "a directory and two blobs";
  start_second();
  read_folder(*kernel_);
  EXPECT_EQ(fetches(), before);
}

TEST_F(SeveralGuests, WhatOneFetchedStaysWhenItGoes) {
  start();
  auto first = put_aside();
  start();
  read_folder(*kernel_);
  const uint64_t before = fetches();
  hang_up();
  EXPECT_EQ(end(), std::nullopt);
  take_up(std::move(first));
  read_folder(*kernel_);
  EXPECT_EQ(fetches(), before);
}

TEST_F(SeveralGuests, EachHasNodesAndHandlesOfItsOwn) {
  fs_options_.list_root = true;
  options_.nodes_max = 3;
  start();
  const uint64_t root = fuse::abi::kRootNode;
  const uint64_t file = node("a");
  const uint64_t folder = node("folder");
  const auto open = kernel_->opendir(root);
  ASSERT_TRUE(open);
  start_second();
  EXPECT_EQ(kernel_->getattr(file).error(), ENOENT);
  EXPECT_EQ(kernel_->readdir(root, open->fh, 0, 4096).error(), EIO);
  EXPECT_EQ(connection_->facts().totals.nodes, 0u);
  // Nor does one guest's limit, or what it forgets, concern the other.
  node("folder");
  node("a");
  node("b");
  EXPECT_EQ(kernel_->lookup(root, "lost-file").error(), ENFILE);
  kernel_->forget(file, 1000);
  kernel_->forget(folder, 1000);
  kernel_->releasedir(root, open->fh);
  EXPECT_TRUE(first_.kernel->lookup(root, "lost-file"));
  EXPECT_TRUE(first_.kernel->getattr(file));
  EXPECT_TRUE(first_.kernel->readdir(root, open->fh, 0, 4096));
}

// One fetch serves all who wait for it, also when the guest goes that began it.
TEST_F(SeveralGuests, OneThatLeavesDoesNotTakeAnothersAnswerAlong) {
  start();
  const uint64_t firsts = node("a");
  gated_->open_gate().close();
  fuse::abi::ReadIn read_in{};
  read_in.size = 2;
  guest_->submit(
      1, kernel_->frame(fuse::abi::Opcode::kRead, firsts, FakeKernel::bytes_of_struct(read_in)),
      100);
  gated_->open_gate().wait_until_held(1);
  start_second();
  const uint64_t seconds = node("a");
  std::thread reader([&] {
    FakeKernel other(guest_->exchange_through(1), 5000);
    EXPECT_EQ(other.read(seconds, 0, 0, 100), store::testing::blob_a());
  });
  first_.guest->front_end().hang_up();
  EXPECT_FALSE(first_.connection->wait()) << "its request is stuck in the store";
  gated_->open_gate().open();
  reader.join();
}

}  // namespace
}  // namespace castore::virtiofs
