// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/dispatcher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "backends/memory/memory_services.h"
#include "fs/root.h"
#include "fuse/testing/fake_kernel.h"
#include "store/testing/fixtures.h"
#include "store/testing/gated_blob_service.h"
#include "store/testing/tree_builder.h"

namespace castore::fuse {
namespace {

using testing::Answered;
using testing::FakeKernel;
using testing::Line;
using testing::Reply;

constexpr uint64_t kForEver = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kPage = 4096;

// The number in a failed answer; 0 for one that did not fail.
template <typename T>
int error_of(const Answered<T>& answered) {
  return answered ? 0 : answered.error();
}

class DispatcherTest : public ::testing::Test {
 protected:
  DispatcherTest() {
    Node folder = store::testing::TreeBuilder(services_)
                      .file("hello", "Hello World!")
                      .file("run", "#!/bin/sh\n", true)
                      .symlink("link", "hello")
                      .directory("empty")
                      .build();
    mount({{"folder", folder},
           {"file", FileNode{store::testing::put_blob(services_, "abc"), 3, false}},
           {"lost-file", FileNode{store::testing::unknown_digest(), 5, false}},
           {"lost-folder", DirectoryNode{store::testing::unknown_digest(), 1}}},
          {});
  }

  // Begins anew with another root.
  void mount(std::map<std::string, Node> root, fs::FilesystemOptions options) {
    options.list_root = true;
    mount_exactly(std::move(root), options);
  }
  void mount_exactly(std::map<std::string, Node> root, fs::FilesystemOptions options,
                     DispatcherOptions dispatcher_options = {}) {
    kernel_.reset();
    dispatcher_.reset();
    filesystem_.emplace(gated_, services_.directories, fs::map_root(std::move(root)), options);
    dispatcher_.emplace(*filesystem_, std::move(dispatcher_options));
    kernel_.emplace(*dispatcher_);
    ASSERT_TRUE(kernel_->init());
  }

  uint64_t node(std::string_view path) {
    uint64_t at = abi::kRootNode;
    while (!path.empty()) {
      size_t end = std::min(path.find('/'), path.size());
      auto entry = kernel_->lookup(at, path.substr(0, end));
      EXPECT_TRUE(entry) << path;
      if (!entry) return 0;
      at = entry->nodeid;
      path.remove_prefix(std::min(end + 1, path.size()));
    }
    return at;
  }

  store::Services services_ = backends::memory_services();
  std::shared_ptr<store::testing::GatedBlobService> gated_ =
      std::make_shared<store::testing::GatedBlobService>(services_.blobs);
  std::optional<fs::Filesystem> filesystem_;
  std::optional<Dispatcher> dispatcher_;
  std::optional<FakeKernel> kernel_;
};

TEST_F(DispatcherTest, WhatWasAgreedOnIsKnown) {
  ASSERT_TRUE(dispatcher_->session());
  EXPECT_EQ(dispatcher_->session()->minor, abi::kMinor);
}

TEST_F(DispatcherTest, LookupGivesAnEntryThatHoldsForEver) {
  auto entry = kernel_->lookup(abi::kRootNode, "folder");
  ASSERT_TRUE(entry);
  EXPECT_NE(entry->nodeid, 0u);
  EXPECT_EQ(entry->entry_valid, kForEver);
  EXPECT_EQ(entry->attr_valid, kForEver);
  EXPECT_EQ(entry->attr.mode, static_cast<uint32_t>(S_IFDIR | 0555));
}

TEST_F(DispatcherTest, AnAbsentNameInTheRootIsAskedForAgain) {
  EXPECT_EQ(error_of(kernel_->lookup(abi::kRootNode, "absent")), ENOENT);
}

TEST_F(DispatcherTest, AnAbsentNameBelowTheRootIsRememberedForEver) {
  auto entry = kernel_->lookup(node("folder"), "absent");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->nodeid, 0u);
  EXPECT_EQ(entry->entry_valid, kForEver);
}

TEST_F(DispatcherTest, LookupSaysWhatIsWrong) {
  EXPECT_EQ(error_of(kernel_->lookup(node("file"), "x")), ENOTDIR);
  EXPECT_EQ(error_of(kernel_->lookup(node("lost-folder"), "x")), EIO);
  EXPECT_EQ(error_of(kernel_->lookup(123456, "x")), ENOENT);
  for (std::string_view name : {"", ".", "..", "a/b"})
    EXPECT_EQ(error_of(kernel_->lookup(abi::kRootNode, name)), ENOENT);
  EXPECT_EQ(error_of(kernel_->lookup(abi::kRootNode, std::string(256, 'x'))), ENOENT);
}

TEST_F(DispatcherTest, AttributesAreThoseOfTheNode) {
  auto hello = kernel_->getattr(node("folder/hello"));
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->attr.mode, static_cast<uint32_t>(S_IFREG | 0444));
  EXPECT_EQ(hello->attr.size, 12u);
  EXPECT_EQ(hello->attr.blocks, 1u);
  EXPECT_EQ(hello->attr.nlink, 1u);
  EXPECT_EQ(hello->attr.mtime, 1u);
  EXPECT_EQ(hello->attr.atime, 0u);
  EXPECT_EQ(hello->attr.blksize, 4096u);
  EXPECT_EQ(hello->attr_valid, kForEver);
  EXPECT_EQ(kernel_->getattr(node("folder/run"))->attr.mode, static_cast<uint32_t>(S_IFREG | 0555));
  auto link = kernel_->getattr(node("folder/link"));
  EXPECT_EQ(link->attr.mode, static_cast<uint32_t>(S_IFLNK | 0444));
  EXPECT_EQ(link->attr.size, 5u);
  EXPECT_EQ(kernel_->getattr(abi::kRootNode)->attr.mode, static_cast<uint32_t>(S_IFDIR | 0555));
  EXPECT_EQ(error_of(kernel_->getattr(123456)), ENOENT);
}

TEST_F(DispatcherTest, AttributesComeWithTheOptionsOfTheMount) {
  mount({{"file", FileNode{store::testing::blob_a_digest(), 2, false}}},
        {.mtime_s = 77, .uid = 5, .gid = 6});
  auto file = kernel_->getattr(node("file"));
  EXPECT_EQ(file->attr.mtime, 77u);
  EXPECT_EQ(file->attr.uid, 5u);
  EXPECT_EQ(file->attr.gid, 6u);
}

TEST_F(DispatcherTest, ReadlinkIsForSymlinks) {
  EXPECT_EQ(*kernel_->readlink(node("folder/link")), "hello");
  EXPECT_EQ(error_of(kernel_->readlink(node("file"))), EINVAL);
  EXPECT_EQ(error_of(kernel_->readlink(node("folder"))), EINVAL);
  EXPECT_EQ(error_of(kernel_->readlink(123456)), ENOENT);
}

TEST_F(DispatcherTest, AFileIsReadInAnyPieces) {
  uint64_t file = node("folder/hello");
  auto open = kernel_->open(file);
  ASSERT_TRUE(open);
  EXPECT_EQ(open->open_flags, abi::kOpenKeepCache | abi::kOpenNoFlush);
  EXPECT_EQ(*kernel_->read(file, open->fh, 0, 100), "Hello World!");
  EXPECT_EQ(*kernel_->read(file, open->fh, 6, 5), "World");
  EXPECT_EQ(*kernel_->read(file, open->fh, 12, 5), "");
  EXPECT_EQ(*kernel_->read(file, open->fh, 1 << 20, 5), "");
  EXPECT_EQ(*kernel_->read(file, open->fh, kForEver, 5), "");
  EXPECT_EQ(*kernel_->read(file, open->fh, 3, 0), "");
  EXPECT_EQ(kernel_->release(file, open->fh), 0);
  EXPECT_EQ(error_of(kernel_->read(file, open->fh, 0, 5)), EIO);
}

TEST_F(DispatcherTest, ALargeReadComesWhole) {
  Digest digest = store::testing::put_blob(services_, store::testing::blob_b());
  mount({{"big", FileNode{digest, store::testing::blob_b().size(), false}}}, {});
  uint64_t file = node("big");
  auto open = kernel_->open(file);
  ASSERT_TRUE(open);
  EXPECT_EQ(*kernel_->read(file, open->fh, 0, kReadBytesMax), store::testing::blob_b());
}

TEST_F(DispatcherTest, OpenSaysWhatIsWrong) {
  EXPECT_EQ(error_of(kernel_->open(abi::kRootNode)), EISDIR);
  EXPECT_EQ(error_of(kernel_->open(node("folder"))), EISDIR);
  EXPECT_EQ(error_of(kernel_->open(node("folder/link"))), EISDIR);
  EXPECT_EQ(error_of(kernel_->open(node("lost-file"))), EIO);
  EXPECT_EQ(error_of(kernel_->open(123456)), ENOENT);
  for (uint32_t flags : {O_WRONLY, O_RDWR, O_TRUNC})
    EXPECT_EQ(error_of(kernel_->open(node("file"), flags)), EROFS);
}

TEST_F(DispatcherTest, AListingMayBeCachedBelowTheRootOnly) {
  auto folder = kernel_->opendir(node("folder"));
  ASSERT_TRUE(folder);
  EXPECT_EQ(folder->open_flags, abi::kOpenKeepCache | abi::kOpenCacheDir);
  auto root = kernel_->opendir(abi::kRootNode);
  ASSERT_TRUE(root);
  EXPECT_EQ(root->open_flags, 0u);
  EXPECT_EQ(kernel_->releasedir(abi::kRootNode, root->fh), 0);
}

TEST_F(DispatcherTest, ARootThatIsNotToBeListedSaysSo) {
  mount_exactly({}, {.list_root = false});
  EXPECT_EQ(error_of(kernel_->opendir(abi::kRootNode)), EPERM);
  EXPECT_EQ(error_of(kernel_->readdir(abi::kRootNode, 0, 0, kPage)), EPERM);
  EXPECT_EQ(error_of(kernel_->readdirplus(abi::kRootNode, 0, 0, kPage)), EPERM);
}

TEST_F(DispatcherTest, AListingNamesKindAndInode) {
  uint64_t folder = node("folder");
  auto open = kernel_->opendir(folder);
  auto lines = kernel_->readdir(folder, open->fh, 0, kPage);
  ASSERT_TRUE(lines);
  ASSERT_EQ(lines->size(), 4u);
  std::map<std::string, uint32_t> expected{{"empty", 4}, {"hello", 8}, {"link", 10}, {"run", 8}};
  auto want = expected.begin();
  for (const Line& line : *lines) {
    EXPECT_EQ(line.name, want->first);
    EXPECT_EQ(line.type, want->second);
    EXPECT_EQ(line.inode, kernel_->getattr(node("folder/" + line.name))->attr.ino);
    ++want;
  }
  auto behind = kernel_->readdir(folder, open->fh, lines->back().next_offset, kPage);
  ASSERT_TRUE(behind);
  EXPECT_TRUE(behind->empty());
}

TEST_F(DispatcherTest, AListingInSmallPiecesHasEachNameOnce) {
  uint64_t folder = node("folder");
  auto open = kernel_->opendir(folder);
  std::vector<std::string> names;
  uint64_t offset = 0;
  for (;;) {
    auto lines = kernel_->readdirplus(folder, open->fh, offset, 176);  // room for one
    ASSERT_TRUE(lines);
    if (lines->empty()) break;
    ASSERT_EQ(lines->size(), 1u);
    names.push_back(lines->front().name);
    offset = lines->front().next_offset;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"empty", "hello", "link", "run"}));
}

TEST_F(DispatcherTest, AnyOffsetSeenBeforeIsServedAgain) {
  uint64_t folder = node("folder");
  auto open = kernel_->opendir(folder);
  auto all = kernel_->readdir(folder, open->fh, 0, kPage);
  auto again = kernel_->readdir(folder, open->fh, (*all)[1].next_offset, kPage);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->front().name, (*all)[2].name);
  EXPECT_EQ(kernel_->readdir(folder, open->fh, 0, kPage)->size(), 4u);
  EXPECT_EQ(kernel_->readdir(folder, open->fh, kForEver, kPage)->size(), 0u);
}

TEST_F(DispatcherTest, ABufferTooSmallForAnyNameIsAnErrorAndNotTheEnd) {
  uint64_t folder = node("folder");
  auto open = kernel_->opendir(folder);
  EXPECT_EQ(error_of(kernel_->readdir(folder, open->fh, 0, 24)), EINVAL);
  EXPECT_EQ(error_of(kernel_->readdirplus(folder, open->fh, 0, 100)), EINVAL);
  EXPECT_EQ(error_of(kernel_->readdir(folder, open->fh, 0, 0)), EINVAL);
}

TEST_F(DispatcherTest, ListingSaysWhatIsWrong) {
  EXPECT_EQ(error_of(kernel_->readdir(node("file"), 0, 0, kPage)), ENOTDIR);
  EXPECT_EQ(error_of(kernel_->readdir(node("lost-folder"), 0, 0, kPage)), EIO);
  EXPECT_EQ(error_of(kernel_->readdirplus(node("lost-folder"), 0, 0, kPage)), EIO);
  EXPECT_EQ(error_of(kernel_->readdir(123456, 0, 0, kPage)), ENOENT);
  EXPECT_EQ(error_of(kernel_->readdir(abi::kRootNode, 999, 0, kPage)), EIO);
  EXPECT_EQ(error_of(kernel_->opendir(123456)), ENOENT);
}

TEST_F(DispatcherTest, AListingWithEntriesHoldsReferences) {
  uint64_t folder = node("folder");
  auto open = kernel_->opendir(folder);
  uint64_t before = filesystem_->totals().nodes;
  auto lines = kernel_->readdirplus(folder, open->fh, 0, kPage);
  ASSERT_TRUE(lines);
  std::vector<abi::ForgetOne> references;
  for (const Line& line : *lines) {
    EXPECT_EQ(line.entry->entry_valid, kForEver);
    EXPECT_EQ(line.entry->attr.mode >> 12, line.type);
    auto attributes = kernel_->getattr(line.entry->nodeid);
    ASSERT_TRUE(attributes);
    EXPECT_EQ(attributes->attr.ino, line.inode);
    references.push_back({.nodeid = line.entry->nodeid, .nlookup = 1});
  }
  EXPECT_EQ(filesystem_->totals().nodes, before + 4);
  kernel_->batch_forget(references);
  EXPECT_EQ(filesystem_->totals().nodes, before);
}

TEST_F(DispatcherTest, ForgottenNodesAreGone) {
  uint64_t before = filesystem_->totals().nodes;
  uint64_t file = node("file");
  ASSERT_EQ(node("file"), file);
  kernel_->forget(file, 1);
  EXPECT_TRUE(kernel_->getattr(file));
  kernel_->forget(file, 1);
  EXPECT_EQ(error_of(kernel_->getattr(file)), ENOENT);
  EXPECT_EQ(filesystem_->totals().nodes, before);
}

// An answer that nobody receives has handed out nothing.
TEST_F(DispatcherTest, AnEntryThatIsNotDeliveredIsTakenBack) {
  uint64_t before = filesystem_->totals().nodes;
  kernel_->lose_next_reply();
  ASSERT_TRUE(kernel_->lookup(abi::kRootNode, "file"));
  EXPECT_EQ(filesystem_->totals().nodes, before);
}

TEST_F(DispatcherTest, AListingThatIsNotDeliveredIsTakenBack) {
  uint64_t folder = node("folder");
  auto open = kernel_->opendir(folder);
  uint64_t before = filesystem_->totals().nodes;
  kernel_->lose_next_reply();
  ASSERT_EQ(kernel_->readdirplus(folder, open->fh, 0, kPage)->size(), 4u);
  EXPECT_EQ(filesystem_->totals().nodes, before);
}

TEST_F(DispatcherTest, HandlesThatAreNotDeliveredAreReleased) {
  uint64_t file = node("file");
  kernel_->lose_next_reply();
  ASSERT_TRUE(kernel_->open(file));
  kernel_->lose_next_reply();
  ASSERT_TRUE(kernel_->opendir(abi::kRootNode));
  EXPECT_EQ(filesystem_->totals().handles, 0u);
}

TEST_F(DispatcherTest, SeekingFindsTheDataAndTheHoleAtTheEnd) {
  uint64_t file = node("folder/hello");
  auto open = kernel_->open(file);
  EXPECT_EQ(*kernel_->lseek(file, open->fh, 3, SEEK_DATA), 3u);
  EXPECT_EQ(*kernel_->lseek(file, open->fh, 3, SEEK_HOLE), 12u);
  EXPECT_EQ(error_of(kernel_->lseek(file, open->fh, 12, SEEK_DATA)), ENXIO);
  EXPECT_EQ(error_of(kernel_->lseek(file, open->fh, 100, SEEK_HOLE)), ENXIO);
  EXPECT_EQ(error_of(kernel_->lseek(file, open->fh, 0, 17)), EINVAL);
  EXPECT_EQ(error_of(kernel_->lseek(file, 999, 0, SEEK_DATA)), EIO);
}

TEST_F(DispatcherTest, AttributesOfDigestsObeyTheSizeRules) {
  uint64_t file = node("file");
  constexpr std::string_view kName = "user.snix.castore.blob.digest";
  auto length = kernel_->getxattr_length(file, kName);
  ASSERT_TRUE(length);
  EXPECT_EQ(*length, 51u);
  EXPECT_EQ(error_of(kernel_->getxattr(file, kName, 50)), ERANGE);
  EXPECT_EQ(kernel_->getxattr(file, kName, 51)->substr(0, 7), "blake3-");
  EXPECT_EQ(kernel_->getxattr(file, kName, 500)->size(), 51u);

  EXPECT_EQ(*kernel_->listxattr_length(file), kName.size() + 1);
  EXPECT_EQ(error_of(kernel_->listxattr(file, 5)), ERANGE);
  EXPECT_EQ(*kernel_->listxattr(file, 100), std::string(kName) + '\0');
  EXPECT_EQ(*kernel_->listxattr_length(node("folder/link")), 0u);
  EXPECT_EQ(*kernel_->listxattr(node("folder/link"), 100), "");
}

TEST_F(DispatcherTest, AttributesThatAreNotThereAreAbsent) {
  EXPECT_EQ(error_of(kernel_->getxattr_length(node("file"), "user.cheesecake")), ENODATA);
  EXPECT_EQ(error_of(kernel_->getxattr_length(node("file"), "user.snix.castore.directory.digest")),
            ENODATA);
  EXPECT_EQ(
      error_of(kernel_->getxattr_length(node("folder/link"), "user.snix.castore.blob.digest")),
      ENODATA);
  EXPECT_TRUE(kernel_->getxattr_length(node("folder"), "user.snix.castore.directory.digest"));
}

TEST_F(DispatcherTest, AttributesThatAreSwitchedOffAreNotAskedForAgain) {
  mount({{"file", FileNode{store::testing::blob_a_digest(), 2, false}}},
        {.xattr_names = fs::XattrNames::kNone});
  EXPECT_EQ(error_of(kernel_->getxattr_length(node("file"), "user.x")), ENOSYS);
  EXPECT_EQ(error_of(kernel_->listxattr_length(node("file"))), ENOSYS);
}

TEST_F(DispatcherTest, TheFilesystemHasTotals) {
  auto totals = kernel_->statfs();
  ASSERT_TRUE(totals);
  EXPECT_EQ(totals->namelen, 255u);
  EXPECT_EQ(totals->bsize, 4096u);
  EXPECT_EQ(totals->files, 0u) << "nobody said";
}

TEST_F(DispatcherTest, TheStoreSaysHowMuchIsThereAndNothingIsFree) {
  mount_exactly({}, {},
                {.store_totals = [] { return StoreTotals{.files = 7, .bytes = 10 * 4096 + 1}; }});
  auto totals = kernel_->statfs();
  ASSERT_TRUE(totals);
  EXPECT_EQ(totals->files, 7u);
  EXPECT_EQ(totals->blocks, 11u);
  EXPECT_EQ(totals->frsize, 4096u);
  EXPECT_EQ(totals->bfree + totals->bavail + totals->ffree, 0u);
}

TEST_F(DispatcherTest, WhatWouldChangeSomethingIsRefused) {
  for (abi::Opcode opcode :
       {abi::Opcode::kWrite, abi::Opcode::kSetattr, abi::Opcode::kCreate, abi::Opcode::kMkdir,
        abi::Opcode::kUnlink, abi::Opcode::kRename2, abi::Opcode::kSetxattr})
    EXPECT_EQ(kernel_->call(opcode, abi::kRootNode, ByteView()).error, EROFS);
}

TEST_F(DispatcherTest, WhatTheKernelCanDoItselfIsLeftToIt) {
  for (abi::Opcode opcode : {abi::Opcode::kAccess, abi::Opcode::kFlush, abi::Opcode::kFsync,
                             abi::Opcode::kGetlk, abi::Opcode::kPoll, abi::Opcode::kStatx})
    EXPECT_EQ(kernel_->call(opcode, abi::kRootNode, ByteView()).error, ENOSYS);
  EXPECT_EQ(kernel_->call(abi::Opcode::kIoctl, abi::kRootNode, abi::IoctlIn{}).error, ENOTTY);
}

TEST_F(DispatcherTest, AnInterruptedReadThatWouldWaitDoesNotReachTheStore) {
  uint64_t file = node("file");
  auto open = kernel_->open(file);
  gated_->read_gate().close();
  uint64_t interrupt = kernel_->next_unique();
  kernel_->interrupt(interrupt + 2);  // the request after this one
  EXPECT_EQ(error_of(kernel_->read(file, open->fh, 0, 3)), EINTR);
  gated_->read_gate().open();
  EXPECT_EQ(*kernel_->read(file, open->fh, 0, 3), "abc");
}

TEST_F(DispatcherTest, AtTheEndEverythingIsAskedToStop) {
  uint64_t file = node("file");
  auto open = kernel_->open(file);
  dispatcher_->stop_all();
  gated_->read_gate().close();
  EXPECT_EQ(error_of(kernel_->read(file, open->fh, 0, 3)), EINTR);
}

TEST_F(DispatcherTest, ASlowOpenHoldsUpNothingElse) {
  uint64_t file = node("file");
  gated_->open_gate().close();
  std::thread slow([&] {
    FakeKernel other(*dispatcher_, 1'000'000);
    EXPECT_TRUE(other.open(file));
  });
  gated_->open_gate().wait_until_held(1);
  EXPECT_TRUE(kernel_->lookup(abi::kRootNode, "folder"));
  EXPECT_EQ(kernel_->readdir(node("folder"), 0, 0, kPage)->size(), 4u);
  EXPECT_EQ(*kernel_->readlink(node("folder/link")), "hello");
  gated_->open_gate().open();
  slow.join();
}

TEST_F(DispatcherTest, WhereOpensAreSkippedFilesAndFoldersAreReadByTheirNodes) {
  Node folder = store::testing::TreeBuilder(services_).file("hello", "Hello World!").build();
  mount_exactly({{"folder", folder}}, {},
                {.wishes = {.skip_opens = true, .skip_folder_opens = true}});
  uint64_t file = node("folder/hello");
  uint64_t below = node("folder");
  EXPECT_EQ(error_of(kernel_->open(file)), ENOSYS);
  EXPECT_EQ(error_of(kernel_->open(file, O_RDWR)), ENOSYS);
  EXPECT_EQ(error_of(kernel_->opendir(below)), ENOSYS);
  EXPECT_EQ(*kernel_->read(file, 0, 6, 100), "World!");
  EXPECT_EQ(*kernel_->lseek(file, 0, 3, SEEK_HOLE), 12u);
  auto lines = kernel_->readdirplus(below, 0, 0, kPage);
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines->size(), 1u);
  EXPECT_EQ(error_of(kernel_->readdir(abi::kRootNode, 0, 0, kPage)), EPERM);
}

// Gives every file the same number.
class OneBackingFile final : public BackingRegistry {
 public:
  Result<int32_t> add(const fs::BackingFile&) override { return 42; }
  void remove(int32_t) override { ++removed; }
  int removed = 0;
};

// A blob in a file of its own, as a large one of a local store.
class FileBlobs final : public store::BlobService {
 public:
  class Reader final : public store::BlobReader {
   public:
    uint64_t size() const override { return 3; }
    Result<size_t> read_at(const Context&, uint64_t, MutableByteView) override { return size_t{0}; }
    bool verified() const override { return false; }
    std::optional<int> file() const override { return STDIN_FILENO; }
  };
  Result<bool> has(const Context&, const Digest&) override { return true; }
  Result<std::unique_ptr<store::BlobReader>> open(const Context&, const Digest&) override {
    return std::make_unique<Reader>();
  }
  Result<store::StoredBlob> put(const Context&, const Digest&, Bytes) override { return no(); }
  Result<std::unique_ptr<store::BlobWriter>> create(const Context&) override { return no(); }
  Result<void> sync(const Context&) override { return {}; }
  Result<void> list(const Context&, const Visitor&) override { return {}; }

 private:
  static std::unexpected<Error> no() { return fail(ErrorKind::kUnsupported, "read only"); }
};

TEST_F(DispatcherTest, FilesOfThisMachineAreHandedToTheKernel) {
  OneBackingFile registry;
  fs::Filesystem filesystem(std::make_shared<FileBlobs>(), services_.directories,
                            fs::map_root({{"file", FileNode{store::testing::unknown_digest(), 3}}}),
                            {});
  Dispatcher dispatcher(filesystem,
                        {.wishes = {.passthrough = true}, .backing_registry = &registry});
  FakeKernel kernel(dispatcher);
  ASSERT_TRUE(kernel.init());
  uint64_t file = kernel.lookup(abi::kRootNode, "file")->nodeid;
  auto first = kernel.open(file);
  auto second = kernel.open(file);
  EXPECT_EQ(first->open_flags, abi::kOpenPassthrough | abi::kOpenNoFlush);
  EXPECT_EQ(second->backing_id, 42);
  // A handle is released once, and for the node it was opened for, whatever a guest says.
  EXPECT_EQ(kernel.release(file, first->fh), 0);
  EXPECT_EQ(kernel.release(file, first->fh), 0);
  EXPECT_EQ(registry.removed, 0);
  EXPECT_EQ(kernel.release(abi::kRootNode, second->fh), 0);
  EXPECT_EQ(registry.removed, 1);
  // Nobody has it open when nobody heard of it.
  kernel.lose_next_reply();
  (void)kernel.open(file);
  EXPECT_EQ(registry.removed, 2);
  EXPECT_EQ(dispatcher.backing().nodes, 0u);
}

TEST_F(DispatcherTest, TheReportIsGivenToWhoHasRoomForIt) {
  mount_exactly({}, {}, {.report = [] { return std::string("doing well"); }});
  abi::IoctlIn in{};
  in.cmd = kReportControl;
  in.out_size = kReportBytesMax;
  Reply reply = kernel_->call(abi::Opcode::kIoctl, abi::kRootNode, in);
  EXPECT_EQ(reply.error, 0);
  EXPECT_EQ(text_of(ByteView(reply.body).subspan(sizeof(abi::IoctlOut))),
            std::string_view("doing well\0", 11));
  in.out_size = 10;
  EXPECT_EQ(kernel_->call(abi::Opcode::kIoctl, abi::kRootNode, in).error, EINVAL);
  in.cmd = kReportControl + 1;
  EXPECT_EQ(kernel_->call(abi::Opcode::kIoctl, abi::kRootNode, in).error, ENOTTY);
}

TEST_F(DispatcherTest, RequestsAreCountedWithTheirErrors) {
  (void)kernel_->lookup(abi::kRootNode, "no-such-name");
  uint64_t file = node("file");
  (void)kernel_->read(file, 0, 0, 3);
  uint64_t lookups = 0;
  uint64_t errors = 0;
  for (const Statistics::Operation& operation : dispatcher_->statistics().report()) {
    if (operation.opcode == abi::Opcode::kRead) {
      EXPECT_EQ(operation.bytes, 3u);
    }
    if (operation.opcode != abi::Opcode::kLookup) continue;
    lookups = operation.count;
    errors = operation.errors;
  }
  EXPECT_EQ(lookups, 2u);
  EXPECT_EQ(errors, 1u);
}

}  // namespace
}  // namespace castore::fuse
