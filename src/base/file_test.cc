// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace castore {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "castore-file-test-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  void write(const std::string& name, std::string_view content) const {
    auto fd = open_file(path(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ASSERT_TRUE(fd) << fd.error().message();
    ASSERT_TRUE(write_all(fd->get(), bytes_of(content), path(name)));
  }

  std::string folder_;
};

TEST_F(FileTest, OpenFailuresNameThePath) {
  auto fd = open_file(path("absent"), O_RDONLY);
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(fd.error().message(), "opening " + path("absent") + ": No such file or directory");
}

TEST_F(FileTest, OpenedDescriptorsAreNotInheritedByPrograms) {
  write("a", "");
  auto fd = open_file(path("a"), O_RDONLY);
  ASSERT_TRUE(fd);
  EXPECT_EQ(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(FileTest, OpenAtStartsAtTheFolder) {
  write("a", "in the folder");
  auto folder = open_file(folder_, O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(folder);
  auto fd = open_at(folder->get(), "a", O_RDONLY);
  ASSERT_TRUE(fd);
  EXPECT_EQ(stat_fd(fd->get(), "a")->st_size, 13);
}

TEST_F(FileTest, ReadAtFillsFromTheOffsetAndStopsAtTheEnd) {
  write("a", "0123456789");
  auto fd = open_file(path("a"), O_RDONLY);
  ASSERT_TRUE(fd);
  std::vector<std::byte> buffer(4);
  EXPECT_EQ(read_at(fd->get(), 3, buffer, "a"), 4u);
  EXPECT_EQ(text_of(buffer), "3456");
  EXPECT_EQ(read_at(fd->get(), 8, buffer, "a"), 2u);
  EXPECT_EQ(read_at(fd->get(), 10, buffer, "a"), 0u);
  EXPECT_EQ(read_at(fd->get(), 1000, buffer, "a"), 0u);
}

TEST_F(FileTest, ReadSomeGathersWhatAPipeDeliversInPieces) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  std::thread feeder([&] {
    for (const char* piece : {"abc", "def", "gh"})
      EXPECT_TRUE(write_all(writer.get(), bytes_of(piece), "pipe"));
    writer.reset();
  });
  std::vector<std::byte> buffer(6);
  auto first = read_some(reader.get(), buffer, "pipe");
  EXPECT_EQ(text_of(buffer), "abcdef");
  auto second = read_some(reader.get(), buffer, "pipe");
  feeder.join();
  EXPECT_EQ(first, 6u);
  EXPECT_EQ(second, 2u);
}

TEST_F(FileTest, ReadingAFolderIsAnErrorNamingIt) {
  auto fd = open_file(folder_, O_RDONLY);
  ASSERT_TRUE(fd);
  std::vector<std::byte> buffer(4);
  auto n = read_at(fd->get(), 0, buffer, folder_);
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error().message(), "reading " + folder_ + ": Is a directory");
}

TEST_F(FileTest, WriteAtWritesAtTheOffset) {
  write("a", "0123456789");
  auto fd = open_file(path("a"), O_WRONLY);
  ASSERT_TRUE(fd);
  EXPECT_TRUE(write_at(fd->get(), 4, bytes_of("XY"), "a"));
  EXPECT_TRUE(write_at(fd->get(), 12, bytes_of("Z"), "a"));
  EXPECT_EQ(read_whole_file(path("a"), 100), std::string("0123XY6789\0\0Z", 13));
}

TEST_F(FileTest, ReadWholeFileHasALimit) {
  std::string content(200'000, 'x');
  content.back() = 'y';
  write("a", content);
  EXPECT_EQ(read_whole_file(path("a"), content.size()), content);
  auto limited = read_whole_file(path("a"), content.size() - 1);
  ASSERT_FALSE(limited);
  EXPECT_EQ(limited.error().kind(), ErrorKind::kExhausted);
  write("empty", "");
  EXPECT_EQ(read_whole_file(path("empty"), 0), "");
}

TEST_F(FileTest, AtomicWritesReplaceTheContentAndLeaveNothingElse) {
  ASSERT_TRUE(write_file_atomically(path("a"), bytes_of("old"), 0600));
  ASSERT_TRUE(write_file_atomically(path("a"), bytes_of("new content"), 0600));
  EXPECT_EQ(read_whole_file(path("a"), 100), "new content");
  auto entries = std::filesystem::directory_iterator(folder_);
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST_F(FileTest, AnAtomicWriteThatFailsLeavesTheOldContentAndNoOtherFile) {
  ASSERT_TRUE(make_folders(path("a"), 0755));
  write("a/inside", "kept");
  // A file cannot take the place of a folder.
  EXPECT_FALSE(write_file_atomically(path("a"), bytes_of("new"), 0600));
  EXPECT_EQ(read_whole_file(path("a/inside"), 100), "kept");
  auto entries = std::filesystem::directory_iterator(folder_);
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST_F(FileTest, MakeFoldersCreatesWhatIsMissing) {
  EXPECT_TRUE(make_folders(path("a/b/c"), 0755));
  EXPECT_TRUE(std::filesystem::is_directory(path("a/b/c")));
  EXPECT_TRUE(make_folders(path("a/b/c"), 0755)) << "what is there is fine";
  EXPECT_TRUE(make_folders(path("a//d/"), 0755));
  EXPECT_TRUE(std::filesystem::is_directory(path("a/d")));
}

TEST_F(FileTest, MakeFoldersRefusesAFileInTheWay) {
  write("file", "");
  for (const char* name : {"file", "file/below"}) {
    auto made = make_folders(path(name), 0755);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().message().find("creating folder " + path("file")), 0u)
        << made.error().message();
  }
}

TEST_F(FileTest, SyncsFilesAndFolders) {
  write("a", "x");
  auto fd = open_file(path("a"), O_RDONLY);
  ASSERT_TRUE(fd);
  EXPECT_TRUE(sync_file(fd->get(), "a"));
  EXPECT_TRUE(sync_folder(folder_));
  EXPECT_FALSE(sync_folder(path("a")));
  EXPECT_FALSE(sync_folder(path("absent")));
}

}  // namespace
}  // namespace castore
