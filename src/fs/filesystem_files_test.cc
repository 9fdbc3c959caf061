// SPDX-License-Identifier: MIT OR Apache-2.0
// Open files and their content.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "fs/filesystem.h"
#include "fs/filesystem_fixture.h"
#include "store/testing/damaged_services.h"

namespace castore::fs {
namespace {

using store::testing::BlobOperation;
using store::testing::must;

TEST_F(FilesystemTest, ReadsAFileInTheRoot) {
  root_->set(root_name('0'), put_file(store::testing::blob_a()));
  EXPECT_EQ(read_file(at(root_name('0')).node), store::testing::blob_a());
}

TEST_F(FilesystemTest, ReadsALargeFileInAnySteps) {
  std::string content = store::testing::blob_b();
  root_->set(root_name('5'), put_file(content));
  NodeId node = at(root_name('5')).node;
  EXPECT_EQ(fs_->attributes(ctx_, node)->size, 1044480u);
  for (size_t step : {size_t{4096}, size_t{100'003}, content.size(), content.size() * 2})
    EXPECT_TRUE(read_file(node, step) == content) << step;
}

TEST_F(FilesystemTest, ReadsEmptyFilesOfDirectories) {
  root_->set("tree", store::testing::put_complicated(services_));
  EXPECT_EQ(read_file(at("tree/keep/.keep").node), "");
}

TEST_F(FilesystemTest, ReadingAtAndBeyondTheEndGivesNothing) {
  root_->set("file", put_file("0123456789"));
  HandleId handle = fs_->open(ctx_, at("file").node).value();
  std::vector<std::byte> scratch(8);
  auto read = [&](uint64_t offset) {
    return std::string(text_of(fs_->read(ctx_, 0, handle, offset, 8, scratch)->bytes));
  };
  EXPECT_EQ(read(0), "01234567");
  EXPECT_EQ(read(7), "789");
  EXPECT_EQ(read(9), "9");
  EXPECT_EQ(read(10), "");
  EXPECT_EQ(read(11), "");
  EXPECT_EQ(read(UINT64_MAX), "");
}

TEST_F(FilesystemTest, ContentInMemoryIsNotCopied) {
  // The doubles do not let it through.
  auto memory = backends::memory_services();
  Digest digest = store::testing::put_blob(memory, "0123456789");
  Filesystem fs(memory.blobs, memory.directories, map_root({{"file", FileNode{digest, 10, false}}}),
                {});
  HandleId handle = fs.open(ctx_, fs.lookup(ctx_, kRootNode, "file")->node).value();
  ReadBytes read = fs.read(ctx_, 0, handle, 2, 5, {}).value();
  fs.release(handle);
  EXPECT_EQ(text_of(read.bytes), "23456");
}

TEST_F(FilesystemTest, OnlyFilesAreOpened) {
  root_->set("directory", tree().build());
  root_->set("link", symlink_to("directory"));
  EXPECT_EQ(fs_->open(ctx_, kRootNode).error(), Fault::kIsDirectory);
  EXPECT_EQ(fs_->open(ctx_, at("directory").node).error(), Fault::kIsDirectory);
  EXPECT_EQ(fs_->open(ctx_, at("link").node).error(), Fault::kIsDirectory);
  EXPECT_EQ(fs_->open(ctx_, 987654).error(), Fault::kNoEntry);
  EXPECT_EQ(fs_->totals().handles, 0u);
}

TEST_F(FilesystemTest, HandlesAreNeverGivenTwiceAndEndWithTheirRelease) {
  root_->set("file", put_file("x"));
  root_->set("directory", tree().build());
  NodeId node = at("file").node;
  HandleId first = fs_->open(ctx_, node).value();
  HandleId folder = fs_->open_directory(ctx_, at("directory").node).value();
  HandleId second = fs_->open(ctx_, node).value();
  EXPECT_EQ(std::set({HandleId{0}, first, folder, second}).size(), 4u);
  EXPECT_EQ(fs_->totals().handles, 3u);
  EXPECT_EQ(fs_->handle_count(), 3u);
  fs_->release(first);
  fs_->release(first);
  fs_->release(987654);
  std::vector<std::byte> scratch(1);
  EXPECT_EQ(fs_->read(ctx_, 0, first, 0, 1, scratch).error(), Fault::kIo);
  EXPECT_EQ(fs_->seek(ctx_, 0, first, 0, SeekFor::kData).error(), Fault::kIo);
  EXPECT_EQ(text_of(fs_->read(ctx_, 0, second, 0, 1, scratch)->bytes), "x");
  fs_->release(second);
  fs_->release_directory(folder);
  EXPECT_EQ(fs_->totals().handles, 0u);
  EXPECT_GT(fs_->open(ctx_, node).value(), second);
}

TEST_F(FilesystemTest, AReleaseSaysWhichNodeTheHandleWasFor) {
  root_->set("file", put_file("x"));
  NodeId node = at("file").node;
  HandleId handle = fs_->open(ctx_, node).value();
  EXPECT_EQ(fs_->release(handle), node);
  EXPECT_EQ(fs_->release(handle), std::nullopt);
}

TEST_F(FilesystemTest, HandlesHoldContentAsFarAsTheirBudgetGoesAndAreReadBeyondIt) {
  root_->set("file", put_file("0123456789"));
  mount({.handle_bytes_max = 50 * 512});
  NodeId node = at("file").node;
  std::vector<HandleId> handles;
  for (int i = 0; i < 100; ++i) handles.push_back(fs_->open(ctx_, node).value());
  EXPECT_GT(fs_->totals().handle_bytes, 0u);
  EXPECT_LE(fs_->totals().handle_bytes, 50 * 512u);
  std::vector<std::byte> scratch(16);
  EXPECT_EQ(text_of(fs_->read(ctx_, node, handles.back(), 8, 16, scratch)->bytes), "89");
  EXPECT_EQ(fs_->seek(ctx_, node, handles.back(), 3, SeekFor::kHole), 10u);
  for (HandleId handle : handles) EXPECT_EQ(fs_->release(handle), node);
  EXPECT_EQ(fs_->totals().handle_bytes, 0u);
}

TEST_F(FilesystemTest, AnOpenFileOutlivesItsNode) {
  root_->set("file", put_file("content"));
  NodeId node = at("file").node;
  HandleId handle = fs_->open(ctx_, node).value();
  fs_->forget(node, 1);
  std::vector<std::byte> scratch(16);
  EXPECT_EQ(text_of(fs_->read(ctx_, 0, handle, 0, 16, scratch)->bytes), "content");
}

TEST_F(FilesystemTest, AMissingBlobCanBeStatedButNotRead) {
  root_->set(root_name('0'), FileNode{store::testing::unknown_digest(), 2, false});
  Entry entry = at(root_name('0'));
  EXPECT_EQ(entry.attributes.size, 2u);
  EXPECT_EQ(fs_->open(ctx_, entry.node).error(), Fault::kIo);
}

TEST_F(FilesystemTest, ABlobOfAnotherSizeThanItsDirectorySaysIsNotOpened) {
  FileNode file = put_file("0123456789");
  for (uint64_t wrong : {uint64_t{0}, uint64_t{9}, uint64_t{11}, UINT64_MAX}) {
    std::string name = std::to_string(wrong);
    root_->set(name, FileNode{file.digest, wrong, false});
    EXPECT_EQ(fs_->open(ctx_, at(name).node).error(), Fault::kIo) << wrong;
  }
  // And that spoils nothing for the directory that has it right.
  root_->set("right", file);
  EXPECT_EQ(at("right").attributes.size, 10u);
  EXPECT_EQ(read_file(at("right").node), "0123456789");
}

TEST_F(FilesystemTest, FailuresToOpenAndReadAreInputOutputErrorsAndPass) {
  root_->set("file", put_file("0123456789"));
  NodeId node = at("file").node;
  blobs_->faults().fail_call(BlobOperation::kOpen, 1, Error(ErrorKind::kUnavailable, "no network"));
  EXPECT_EQ(fs_->open(ctx_, node).error(), Fault::kIo);
  HandleId handle = fs_->open(ctx_, node).value();
  std::vector<std::byte> scratch(4);
  blobs_->faults().fail_call(BlobOperation::kReadAt, 1, Error(ErrorKind::kCorrupt, "bad disk"));
  EXPECT_EQ(fs_->read(ctx_, 0, handle, 0, 4, scratch).error(), Fault::kIo);
  EXPECT_EQ(text_of(fs_->read(ctx_, 0, handle, 0, 4, scratch)->bytes), "0123");
}

TEST_F(FilesystemTest, AnInterruptedReadIsNotStarted) {
  root_->set("file", put_file("0123456789"));
  HandleId handle = fs_->open(ctx_, at("file").node).value();
  std::stop_source stop;
  stop.request_stop();
  Context stopped;
  stopped.stop = stop.get_token();
  Context late;
  late.deadline = std::chrono::steady_clock::now();
  std::vector<std::byte> scratch(4);
  EXPECT_EQ(fs_->read(stopped, 0, handle, 0, 4, scratch).error(), Fault::kInterrupted);
  EXPECT_EQ(fs_->read(late, 0, handle, 0, 4, scratch).error(), Fault::kTimedOut);
  EXPECT_EQ(blobs_->faults().calls(BlobOperation::kReadAt), 0u);
}

// Claims a size it does not have.
class ShortReader final : public store::BlobReader {
 public:
  uint64_t size() const override { return 10; }
  Result<size_t> read_at(const Context&, uint64_t offset, MutableByteView out) override {
    return offset >= 5 ? 0 : std::min<size_t>(out.size(), 5 - static_cast<size_t>(offset));
  }
  bool verified() const override { return true; }
};

class ShortBlobService final : public store::BlobService {
 public:
  Result<bool> has(const Context&, const Digest&) override { return true; }
  Result<std::unique_ptr<store::BlobReader>> open(const Context&, const Digest&) override {
    return std::make_unique<ShortReader>();
  }
  Result<store::StoredBlob> put(const Context&, const Digest&, Bytes) override { return refuse(); }
  Result<std::unique_ptr<store::BlobWriter>> create(const Context&) override { return refuse(); }
  Result<void> sync(const Context&) override { return refuse(); }
  Result<void> list(const Context&, const Visitor&) override { return refuse(); }

 private:
  static std::unexpected<Error> refuse() { return fail(ErrorKind::kUnsupported, "not here"); }
};

TEST_F(FilesystemTest, ABlobThatEndsEarlyIsAnErrorAndNotAShortRead) {
  Filesystem fs(std::make_shared<ShortBlobService>(), directories_, root_, {});
  root_->set("file", FileNode{store::testing::unknown_digest(), 10, false});
  HandleId handle = fs.open(ctx_, fs.lookup(ctx_, kRootNode, "file")->node).value();
  std::vector<std::byte> scratch(10);
  EXPECT_TRUE(fs.read(ctx_, 0, handle, 0, 5, scratch).has_value());
  EXPECT_EQ(fs.read(ctx_, 0, handle, 0, 6, scratch).error(), Fault::kIo);
  EXPECT_EQ(fs.read(ctx_, 0, handle, 7, 3, scratch).error(), Fault::kIo);
}

TEST_F(FilesystemTest, ContentHasNoHoleButAtItsEnd) {
  root_->set("file", put_file("0123456789"));
  root_->set("empty", put_file(""));
  HandleId file = fs_->open(ctx_, at("file").node).value();
  HandleId empty = fs_->open(ctx_, at("empty").node).value();
  EXPECT_EQ(fs_->seek(ctx_, 0, file, 3, SeekFor::kData), 3u);
  EXPECT_EQ(fs_->seek(ctx_, 0, file, 3, SeekFor::kHole), 10u);
  EXPECT_EQ(fs_->seek(ctx_, 0, file, 10, SeekFor::kData).error(), Fault::kBeyondEnd);
  EXPECT_EQ(fs_->seek(ctx_, 0, file, 10, SeekFor::kHole).error(), Fault::kBeyondEnd);
  EXPECT_EQ(fs_->seek(ctx_, 0, empty, 0, SeekFor::kData).error(), Fault::kBeyondEnd);
}

TEST_F(FilesystemTest, ASlowBlobHoldsUpNobodyElse) {
  root_->set("slow", put_file("slow"));
  root_->set("tree", store::testing::put_complicated(services_));
  root_->set("other", put_file("other"));
  mount({.list_root = true});
  NodeId slow = at("slow").node;
  HandleId other = fs_->open(ctx_, at("other").node).value();
  gated_blobs_->open_gate().close();
  std::thread opener([&] { EXPECT_TRUE(fs_->open(ctx_, slow).has_value()); });
  gated_blobs_->open_gate().wait_until_held(1);
  EXPECT_EQ(at("tree/keep/.keep").attributes.size, 0u);
  EXPECT_EQ(list_all(kRootNode).size(), 3u);
  EXPECT_EQ(fs_->attributes(ctx_, slow)->size, 4u);
  fs_->forget(slow, 1);
  std::vector<std::byte> scratch(5);
  EXPECT_EQ(text_of(fs_->read(ctx_, 0, other, 0, 5, scratch)->bytes), "other");
  fs_->release(other);
  gated_blobs_->open_gate().open();
  opener.join();
}

TEST_F(FilesystemTest, AReadThatHangsHoldsUpNoOtherReadOfItsHandle) {
  root_->set("file", put_file("0123456789"));
  HandleId handle = fs_->open(ctx_, at("file").node).value();
  gated_blobs_->read_gate().close();
  auto read = [&] {
    std::vector<std::byte> scratch(10);
    EXPECT_EQ(text_of(fs_->read(ctx_, 0, handle, 0, 10, scratch)->bytes), "0123456789");
  };
  std::thread first(read);
  std::thread second(read);
  gated_blobs_->read_gate().wait_until_held(2);
  // Released under the readers, as a dying process does.
  fs_->release(handle);
  EXPECT_EQ(fs_->totals().handles, 0u);
  gated_blobs_->read_gate().open();
  first.join();
  second.join();
}

TEST_F(FilesystemTest, AFileIsReadWithoutHavingBeenOpened) {
  root_->set("file", put_file("0123456789"));
  root_->set("directory", tree().build());
  root_->set("lost", FileNode{store::testing::unknown_digest(), 2, false});
  NodeId node = at("file").node;
  std::vector<std::byte> scratch(16);
  auto read = [&](NodeId from, uint64_t offset, size_t size) {
    return fs_->read(ctx_, from, kNoHandle, offset, size, scratch);
  };
  EXPECT_EQ(text_of(read(node, 0, 4)->bytes), "0123");
  EXPECT_EQ(text_of(read(node, 8, 16)->bytes), "89");
  EXPECT_EQ(text_of(read(node, 10, 16)->bytes), "");
  EXPECT_EQ(blobs_->faults().calls(BlobOperation::kOpen), 1u);
  EXPECT_EQ(fs_->totals().handles, 0u);
  EXPECT_EQ(read(at("directory").node, 0, 4).error(), Fault::kIsDirectory);
  EXPECT_EQ(read(kRootNode, 0, 4).error(), Fault::kIsDirectory);
  EXPECT_EQ(read(987654, 0, 4).error(), Fault::kNoEntry);
  EXPECT_EQ(read(at("lost").node, 0, 4).error(), Fault::kIo);
  EXPECT_EQ(fs_->seek(ctx_, node, kNoHandle, 3, SeekFor::kHole), 10u);
  EXPECT_EQ(fs_->seek(ctx_, node, kNoHandle, 10, SeekFor::kData).error(), Fault::kBeyondEnd);
  EXPECT_EQ(fs_->seek(ctx_, 987654, kNoHandle, 0, SeekFor::kData).error(), Fault::kNoEntry);
}

TEST_F(FilesystemTest, WhoMayNotWaitIsToldSoAndNothingHasHappened) {
  root_->set("slow", put_file("slow"));
  NodeId slow = at("slow").node;
  Context impatient;
  impatient.may_wait = false;
  std::vector<std::byte> scratch(4);
  auto try_read = [&] { return fs_->read(impatient, slow, kNoHandle, 0, 4, scratch); };
  gated_blobs_->open_gate().close();
  EXPECT_EQ(fs_->open(impatient, slow).error(), Fault::kWouldWait);
  EXPECT_EQ(try_read().error(), Fault::kWouldWait);
  // Nor is it kept waiting by one who does wait.
  std::thread patient([&] { EXPECT_TRUE(fs_->open(ctx_, slow).has_value()); });
  gated_blobs_->open_gate().wait_until_held(1);
  EXPECT_EQ(try_read().error(), Fault::kWouldWait);
  gated_blobs_->open_gate().open();
  patient.join();
  EXPECT_EQ(text_of(try_read()->bytes), "slow");
  gated_blobs_->read_gate().close();
  EXPECT_EQ(try_read().error(), Fault::kWouldWait);
  gated_blobs_->read_gate().open();
  EXPECT_EQ(text_of(try_read()->bytes), "slow");
}

TEST_F(FilesystemTest, TenReadersOfOneBlobFetchItOnce) {
  root_->set("slow", put_file("slow"));
  NodeId slow = at("slow").node;
  gated_blobs_->open_gate().close();
  std::vector<std::thread> readers;
  for (int i = 0; i < 10; ++i)
    readers.emplace_back([&] {
      std::vector<std::byte> scratch(4);
      EXPECT_EQ(text_of(fs_->read(ctx_, slow, kNoHandle, 0, 4, scratch)->bytes), "slow");
    });
  gated_blobs_->open_gate().wait_until_held(1);
  gated_blobs_->open_gate().open();
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(blobs_->faults().calls(BlobOperation::kOpen), 1u);
}

}  // namespace
}  // namespace castore::fs
