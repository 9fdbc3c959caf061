// SPDX-License-Identifier: MIT OR Apache-2.0
// What no kernel sends, and a hostile guest may.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "backends/memory/memory_services.h"
#include "fs/root.h"
#include "fuse/dispatcher.h"
#include "fuse/testing/fake_kernel.h"
#include "store/testing/fixtures.h"
#include "store/testing/tree_builder.h"

namespace castore::fuse {
namespace {

using testing::Answered;
using testing::FakeKernel;
using testing::Reply;

constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();

template <typename T>
int error_of(const Answered<T>& answered) {
  return answered ? 0 : answered.error();
}

class HostileKernel : public ::testing::Test {
 protected:
  HostileKernel() {
    Node folder = store::testing::TreeBuilder(services_)
                      .file("hello", "Hello World!")
                      .symlink("link", "hello")
                      .build();
    filesystem_.emplace(services_.blobs, services_.directories, fs::map_root({{"folder", folder}}),
                        fs::FilesystemOptions{.list_root = true});
    dispatcher_.emplace(*filesystem_);
    kernel_.emplace(*dispatcher_);
  }

  // The mount works as it should.
  void expect_sound() {
    auto folder = kernel_->lookup(abi::kRootNode, "folder");
    ASSERT_TRUE(folder);
    auto hello = kernel_->lookup(folder->nodeid, "hello");
    ASSERT_TRUE(hello);
    auto open = kernel_->open(hello->nodeid);
    ASSERT_TRUE(open);
    EXPECT_EQ(*kernel_->read(hello->nodeid, open->fh, 0, 100), "Hello World!");
    EXPECT_EQ(kernel_->release(hello->nodeid, open->fh), 0);
  }

  store::Services services_ = backends::memory_services();
  std::optional<fs::Filesystem> filesystem_;
  std::optional<Dispatcher> dispatcher_;
  std::optional<FakeKernel> kernel_;
};

TEST_F(HostileKernel, NothingIsServedBeforeInit) {
  EXPECT_EQ(error_of(kernel_->getattr(abi::kRootNode)), EIO);
  EXPECT_EQ(error_of(kernel_->lookup(abi::kRootNode, "folder")), EIO);
  EXPECT_EQ(error_of(kernel_->opendir(abi::kRootNode)), EIO);
  EXPECT_EQ(kernel_->call(abi::Opcode::kWrite, 1, ByteView()).error, EIO);
  kernel_->forget(abi::kRootNode, kAll);
  kernel_->interrupt(2);
  ASSERT_TRUE(kernel_->init());
  expect_sound();
}

TEST_F(HostileKernel, ASecondInitIsRefused) {
  ASSERT_TRUE(kernel_->init());
  EXPECT_EQ(error_of(kernel_->init()), EIO);
  expect_sound();
}

TEST_F(HostileKernel, AfterDestroyInitBeginsAnew) {
  ASSERT_TRUE(kernel_->init());
  EXPECT_EQ(kernel_->call(abi::Opcode::kDestroy, 0, ByteView()).error, 0);
  EXPECT_FALSE(dispatcher_->session());
  EXPECT_EQ(error_of(kernel_->getattr(abi::kRootNode)), EIO);
  ASSERT_TRUE(kernel_->init());
  expect_sound();
}

TEST_F(HostileKernel, AnotherMajorVersionLeavesTheChoiceOpen) {
  auto reply = kernel_->init(8, 0);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->major, 7u);
  EXPECT_FALSE(dispatcher_->session());
  EXPECT_EQ(error_of(kernel_->getattr(abi::kRootNode)), EIO);
  ASSERT_TRUE(kernel_->init());
  expect_sound();
}

TEST_F(HostileKernel, AKernelTooOldIsRefused) {
  EXPECT_EQ(error_of(kernel_->init(7, 30)), EPROTO);
  EXPECT_EQ(error_of(kernel_->init(6, 0)), EPROTO);
  EXPECT_FALSE(dispatcher_->session());
}

TEST_F(HostileKernel, UnknownNodesAreErrorsInEachOperation) {
  ASSERT_TRUE(kernel_->init());
  for (uint64_t node : {uint64_t{0}, uint64_t{2}, uint64_t{1} << 40, kAll}) {
    EXPECT_EQ(error_of(kernel_->lookup(node, "x")), ENOENT);
    EXPECT_EQ(error_of(kernel_->getattr(node)), ENOENT);
    EXPECT_EQ(error_of(kernel_->readlink(node)), ENOENT);
    EXPECT_EQ(error_of(kernel_->open(node)), ENOENT);
    EXPECT_EQ(error_of(kernel_->opendir(node)), ENOENT);
    EXPECT_EQ(error_of(kernel_->readdir(node, 0, 0, 4096)), ENOENT);
    EXPECT_EQ(error_of(kernel_->getxattr_length(node, "user.snix.castore.blob.digest")), ENODATA);
    EXPECT_EQ(error_of(kernel_->read(node, 0, 0, 10)), ENOENT);
    EXPECT_EQ(error_of(kernel_->read(node, 77, 0, 10)), EIO);
    EXPECT_EQ(kernel_->release(node, kAll), 0);
    EXPECT_EQ(kernel_->releasedir(node, kAll), 0);
    kernel_->forget(node, kAll);
  }
  expect_sound();
}

TEST_F(HostileKernel, TheRootIsNeverForgotten) {
  ASSERT_TRUE(kernel_->init());
  kernel_->forget(abi::kRootNode, kAll);
  kernel_->batch_forget({{abi::kRootNode, kAll}, {abi::kRootNode, kAll}});
  EXPECT_TRUE(kernel_->getattr(abi::kRootNode));
  expect_sound();
}

TEST_F(HostileKernel, ForgettingMoreThanThereIsForgetsOnce) {
  ASSERT_TRUE(kernel_->init());
  uint64_t folder = kernel_->lookup(abi::kRootNode, "folder")->nodeid;
  kernel_->forget(folder, kAll);
  kernel_->forget(folder, kAll);
  EXPECT_EQ(error_of(kernel_->getattr(folder)), ENOENT);
  expect_sound();
}

TEST_F(HostileKernel, HandlesAreNotMixedUp) {
  ASSERT_TRUE(kernel_->init());
  uint64_t folder = kernel_->lookup(abi::kRootNode, "folder")->nodeid;
  uint64_t hello = kernel_->lookup(folder, "hello")->nodeid;
  auto file = kernel_->open(hello);
  auto root = kernel_->opendir(abi::kRootNode);
  ASSERT_TRUE(file && root);
  EXPECT_EQ(error_of(kernel_->read(hello, kAll, 0, 10)), EIO);
  EXPECT_EQ(error_of(kernel_->readdir(abi::kRootNode, kAll, 0, 4096)), EIO);
  auto below = kernel_->opendir(folder);
  ASSERT_TRUE(below);
  EXPECT_EQ(error_of(kernel_->readdir(abi::kRootNode, below->fh, 0, 4096)), EIO);
  EXPECT_EQ(error_of(kernel_->readdirplus(folder, root->fh, 0, 4096)), EIO);
  EXPECT_EQ(error_of(kernel_->readdir(folder, file->fh, 0, 4096)), EIO);
  EXPECT_EQ(kernel_->release(hello, file->fh), 0);
  EXPECT_EQ(kernel_->release(hello, file->fh), 0);
  EXPECT_EQ(error_of(kernel_->read(hello, file->fh, 0, 10)), EIO);
}

TEST_F(HostileKernel, AReadLargerThanWasAgreedOnIsRefusedRatherThanCutShort) {
  ASSERT_TRUE(kernel_->init());
  uint64_t folder = kernel_->lookup(abi::kRootNode, "folder")->nodeid;
  uint64_t hello = kernel_->lookup(folder, "hello")->nodeid;
  auto file = kernel_->open(hello);
  EXPECT_EQ(error_of(kernel_->read(hello, file->fh, 0, kReadBytesMax + 1)), EINVAL);
  EXPECT_EQ(error_of(kernel_->read(hello, file->fh, 0, 0xffff'ffffu)), EINVAL);
  EXPECT_EQ(kernel_->read(hello, file->fh, 0, kReadBytesMax)->size(), 12u);
}

TEST_F(HostileKernel, AListingOfAnySizeIsBounded) {
  ASSERT_TRUE(kernel_->init());
  uint64_t folder = kernel_->lookup(abi::kRootNode, "folder")->nodeid;
  EXPECT_EQ(kernel_->readdir(folder, 0, 0, 0xffff'ffffu)->size(), 2u);
  EXPECT_EQ(kernel_->readdirplus(folder, 0, 0, 0xffff'ffffu)->size(), 2u);
}

// A guest says by its buffers how long an answer may be, and need not mean it.
TEST_F(HostileKernel, AnswersKeepToTheRoomThereIs) {
  ASSERT_TRUE(kernel_->init());
  uint64_t folder = kernel_->lookup(abi::kRootNode, "folder")->nodeid;
  uint64_t before = filesystem_->totals().nodes;
  auto name = bytes_of(std::string_view("hello\0", 6));
  for (size_t room : {size_t{0}, size_t{15}})
    EXPECT_FALSE(kernel_->call(abi::Opcode::kLookup, folder, name, room).sent);
  for (size_t room : {size_t{16}, size_t{143}})
    EXPECT_EQ(kernel_->call(abi::Opcode::kLookup, folder, name, room).error, EINVAL);
  EXPECT_EQ(filesystem_->totals().nodes, before) << "nothing was handed out";
  EXPECT_EQ(kernel_->call(abi::Opcode::kLookup, folder, name, 144).error, 0);

  abi::ReadIn list{};
  list.size = 4096;
  ByteView argument = FakeKernel::bytes_of_struct(list);
  EXPECT_FALSE(kernel_->call(abi::Opcode::kReaddirplus, folder, argument, 3).sent);
  EXPECT_EQ(kernel_->call(abi::Opcode::kReaddirplus, folder, argument, 100).error, EINVAL);
  Reply one = kernel_->call(abi::Opcode::kReaddirplus, folder, argument, 16 + 160 + 100);
  EXPECT_EQ(one.error, 0);
  EXPECT_EQ(one.body.size(), 160u);
}

TEST_F(HostileKernel, RequestsCutShortAtEachByteAreRefused) {
  ASSERT_TRUE(kernel_->init());
  abi::ReadIn read{};
  read.size = 10;
  auto whole = kernel_->frame(abi::Opcode::kRead, 1, FakeKernel::bytes_of_struct(read));
  for (size_t length = 0; length < whole.size(); ++length) {
    std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
    Reply as_is = kernel_->raw(cut);
    EXPECT_EQ(as_is.sent, length >= sizeof(abi::InHeader));
    if (as_is.sent) {
      EXPECT_EQ(as_is.error, EINVAL);
    }
    if (length < sizeof(abi::InHeader)) continue;
    // The same with a header that says so.
    auto claimed = static_cast<uint32_t>(length);
    std::memcpy(cut.data(), &claimed, sizeof claimed);
    EXPECT_EQ(kernel_->raw(cut).error, EINVAL);
  }
  expect_sound();
}

TEST_F(HostileKernel, OpcodesOfTheFutureAreNotImplemented) {
  ASSERT_TRUE(kernel_->init());
  for (uint32_t opcode : {0u, 54u, 4096u, 0xffff'ffffu})
    EXPECT_EQ(kernel_->call(static_cast<abi::Opcode>(opcode), 1, ByteView()).error, ENOSYS);
  expect_sound();
}

TEST_F(HostileKernel, RandomBytesBehindARightHeaderDoNoHarm) {
  ASSERT_TRUE(kernel_->init());
  std::mt19937 random(20240607);
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> argument(random() % 64);
    for (std::byte& byte : argument)
      byte = static_cast<std::byte>(random() % 4 == 0 ? random() : 0);
    auto opcode = static_cast<abi::Opcode>(random() % 56);
    if (opcode == abi::Opcode::kDestroy) continue;
    kernel_->call(opcode, random() % 4, ByteView(argument), random() % 300);
  }
  expect_sound();
}

}  // namespace
}  // namespace castore::fuse
