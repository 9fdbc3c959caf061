// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/source_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "backends/memory/memory_services.h"
#include "base/file.h"
#include "digest/blake3.h"
#include "store/testing/fake_import_cache.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"

namespace castore::transfer {
namespace {

using store::testing::BlobOperation;
using store::testing::must;

// A clock that runs an hour ahead of the file system's: every file is old.
int64_t an_hour_ahead() {
  return file_clock_now() + int64_t{3600} * 1'000'000'000;
}

// Says whether a file of a folder is opened or read.
class Watch {
 public:
  explicit Watch(const std::string& folder) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    EXPECT_GE(::inotify_add_watch(fd_.get(), folder.c_str(), IN_OPEN | IN_ACCESS), 0);
  }

  bool saw_reading() {
    std::array<char, 4096> events;
    return ::read(fd_.get(), events.data(), events.size()) > 0;
  }

 private:
  UniqueFd fd_;
};

class SourceReaderTest : public testing::Test {
 protected:
  SourceReaderTest() {
    services_.blobs = blobs_;
    services_.import_cache = cache_;
  }

  SourceItem item(std::string path, SourceItem::Kind kind = SourceItem::Kind::kFile) {
    return {.kind = kind, .folder = place_, .name = std::move(path)};
  }

  // Reads one file with a reader of its own.
  SourceOutcome read(const std::string& path, FileClock clock = an_hour_ahead,
                     bool keep_contents = false) {
    SourceReader reader(ctx_, services_, tally_, keep_contents, std::move(clock));
    SourceOutcome outcome = reader.read(item(path));
    must(reader.finish());
    return outcome;
  }

  uint64_t calls(BlobOperation operation) { return blobs_->faults().calls(operation); }

  Context ctx_;
  store::testing::TempFolder folder_;
  std::shared_ptr<SourceFolder> place_ =
      std::make_shared<SourceFolder>(UniqueFd(AT_FDCWD), nullptr);
  std::shared_ptr<store::testing::FaultyBlobService> blobs_ =
      std::make_shared<store::testing::FaultyBlobService>(backends::memory_blob_service());
  std::shared_ptr<store::testing::FakeImportCache> cache_ =
      std::make_shared<store::testing::FakeImportCache>();
  store::Services services_ = backends::memory_services();
  Tally tally_;
};

TEST_F(SourceReaderTest, StoresAFileAndKeepsItsContentsWhenAsked) {
  const std::string path = folder_.write_file("f", "content", 0755);
  const SourceOutcome outcome = read(path, an_hour_ahead, true);
  const auto& file = std::get<StoredFile>(outcome);
  EXPECT_EQ(file.node, (FileNode{blake3("content"), 7, true}));
  ASSERT_TRUE(file.contents);
  EXPECT_EQ(file.contents->text(), "content");
  EXPECT_TRUE(must(services_.blobs->has(ctx_, blake3("content"))));
  EXPECT_EQ(tally_.bytes, 7u);
  EXPECT_EQ(tally_.blobs_new, 1u);
  EXPECT_EQ(tally_.bytes_new, 7u);
}

TEST_F(SourceReaderTest, ExecutableIsTheOwnersBitAlone) {
  for (auto [mode, executable] : {std::pair{0100u, true}, {0677u, false}, {0755u, true}}) {
    const std::string path = folder_.write_file("f", "x", mode);
    EXPECT_EQ(std::get<StoredFile>(read(path)).node.executable, executable) << mode;
    ::unlink(path.c_str());
  }
}

TEST_F(SourceReaderTest, AnUnchangedFileIsNotEvenOpened) {
  const std::string path = folder_.write_file("f", "content", 0755);
  read(path);
  Watch watch(folder_.path());
  const SourceOutcome outcome = read(path, an_hour_ahead, true);
  const auto& file = std::get<StoredFile>(outcome);
  EXPECT_EQ(file.node, (FileNode{blake3("content"), 7, true}));
  EXPECT_FALSE(file.contents);
  EXPECT_FALSE(watch.saw_reading());
  EXPECT_EQ(calls(BlobOperation::kPut), 1u);
  EXPECT_EQ(tally_.blobs_reused, 1u);
  EXPECT_EQ(tally_.bytes, 14u);
}

TEST_F(SourceReaderTest, AChangedFileIsReadAgain) {
  const std::string path = folder_.write_file("f", "content");
  read(path);
  folder_.write_file("f", "another content");
  EXPECT_EQ(std::get<StoredFile>(read(path)).node.digest, blake3("another content"));
}

TEST_F(SourceReaderTest, AFileThatIsKnownButNotInTheStoreIsReadAgain) {
  const std::string path = folder_.write_file("f", "content");
  read(path);
  services_.blobs = backends::memory_blob_service();
  EXPECT_EQ(std::get<StoredFile>(read(path)).node.digest, blake3("content"));
  EXPECT_TRUE(must(services_.blobs->has(ctx_, blake3("content"))));
}

// A second change within one tick of the file system's clock would not show.
TEST_F(SourceReaderTest, AFileChangedJustNowIsNotRemembered) {
  const std::string path = folder_.write_file("f", "content");
  read(path, file_clock_now);
  EXPECT_EQ(cache_->source_count(), 0u);
  read(path, an_hour_ahead);
  EXPECT_EQ(cache_->source_count(), 1u);
}

TEST_F(SourceReaderTest, AFileWithTwoNamesDoesNotLookKnownWithinOneImport) {
  const std::string first = folder_.write_file("a", "content");
  const std::string second = folder_ / "b";
  ASSERT_EQ(::link(first.c_str(), second.c_str()), 0);
  SourceReader reader(ctx_, services_, tally_, true, an_hour_ahead);
  for (const std::string& path : {first, second})
    EXPECT_TRUE(std::get<StoredFile>(reader.read(item(path))).contents) << path;
  EXPECT_EQ(cache_->source_count(), 0u);
  must(reader.finish());
  EXPECT_GT(cache_->source_count(), 0u);
  EXPECT_FALSE(std::get<StoredFile>(read(second, an_hour_ahead, true)).contents);
}

TEST_F(SourceReaderTest, ALargeFileIsLeftToBeStreamed) {
  const std::string just_small(kFileInMemoryBytesMax, 'x');
  EXPECT_TRUE(std::holds_alternative<StoredFile>(read(folder_.write_file("s", just_small))));
  EXPECT_TRUE(std::holds_alternative<LargeFile>(read(folder_.write_file("l", just_small + "x"))));
}

TEST_F(SourceReaderTest, StreamingGivesThePiecesInOrderAndRemembersTheFile) {
  const std::string content = store::testing::noise(size_t{11} << 20, 1) + "end";
  const std::string path = folder_.write_file("f", content, 0700);
  std::string seen;
  const SourceReader::StreamObserver observer{
      .begin = [&](uint64_t size, bool executable) -> Result<void> {
        EXPECT_EQ(size, content.size());
        EXPECT_TRUE(executable);
        return {};
      },
      .contents = [&](ByteView bytes) -> Result<void> {
        seen += text_of(bytes);
        return {};
      }};
  SourceReader reader(ctx_, services_, tally_, true, an_hour_ahead);
  EXPECT_EQ(must(reader.stream(item(path), observer)),
            (FileNode{blake3(content), content.size(), true}));
  EXPECT_TRUE(seen == content);
  EXPECT_EQ(tally_.bytes, content.size());
  EXPECT_EQ(tally_.bytes_new, content.size());
  EXPECT_EQ(calls(BlobOperation::kPut), 0u);
  EXPECT_TRUE(std::holds_alternative<StoredFile>(read(path)));
}

// What happens to a file while it is streamed, and whether that is noticed.
class ChangeWhileStreaming : public SourceReaderTest,
                             public testing::WithParamInterface<void (*)(const std::string&)> {};

TEST_P(ChangeWhileStreaming, IsAnErrorNamingTheFile) {
  const std::string path = folder_.write_file("f", std::string(size_t{9} << 20, 'x'));
  std::filesystem::last_write_time(path, {});
  bool changed = false;
  const SourceReader::StreamObserver observer{
      .begin = [](uint64_t, bool) -> Result<void> { return {}; },
      .contents = [&](ByteView) -> Result<void> {
        if (!std::exchange(changed, true)) GetParam()(path);
        return {};
      }};
  SourceReader reader(ctx_, services_, tally_, true, an_hour_ahead);
  auto node = reader.stream(item(path), observer);
  ASSERT_FALSE(node);
  EXPECT_EQ(node.error().kind(), ErrorKind::kUnavailable);
  EXPECT_TRUE(node.error().message().ends_with(path + " changed while it was read"))
      << node.error().message();
  EXPECT_EQ(cache_->source_count(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    SourceReader, ChangeWhileStreaming,
    testing::Values([](const std::string& path) { std::filesystem::resize_file(path, 5'000'000); },
                    [](const std::string& path) { std::filesystem::resize_file(path, 20'000'000); },
                    [](const std::string& path) {
                      UniqueFd fd = must(open_file(path, O_WRONLY));
                      must(write_at(fd.get(), 0, bytes_of("y"), path));
                    }));

// As files of /proc, whose size is said to be zero.
TEST_F(SourceReaderTest, AFileThatIsNotAsLongAsItsAttributesSayIsRefused) {
  auto outcome = read("/proc/self/status");
  ASSERT_TRUE(std::holds_alternative<Error>(outcome));
  EXPECT_EQ(std::get<Error>(outcome).kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(std::get<Error>(outcome).message(), "/proc/self/status changed while it was read");
}

TEST_F(SourceReaderTest, ASymlinksTargetIsKeptByteForByte) {
  const std::string target = "/a//b/../\xff" + std::string(4000, 'x');
  SourceReader reader(ctx_, services_, tally_, false);
  auto outcome = reader.read(item(folder_.symlink("l", target), SourceItem::Kind::kSymlink));
  EXPECT_EQ(std::get<SymlinkNode>(outcome).target.text(), target);
}

TEST_F(SourceReaderTest, AFileReplacedByASymlinkIsNotFollowed) {
  folder_.write_file("secret", "secret");
  auto outcome = read(folder_.symlink("f", "secret"));
  ASSERT_TRUE(std::holds_alternative<Error>(outcome));
  EXPECT_EQ(calls(BlobOperation::kPut), 0u);
}

}  // namespace
}  // namespace castore::transfer
