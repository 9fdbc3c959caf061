// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/blob_files.h"

#include <gtest/gtest.h>
#include <sys/file.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "digest/blake3.h"

namespace castore::backends::local {
namespace {

class BlobFilesTest : public testing::Test {
 protected:
  BlobFilesTest() {
    std::string pattern = testing::TempDir() + "/blob_files.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~BlobFilesTest() override { std::filesystem::remove_all(folder_); }

  // The way of filesystems without unnamed files: a locked name in tmp/.
  UnnamedFile named_file(const std::string& name) {
    EXPECT_TRUE(make_folders(folder_ + "/tmp", 0755));
    UnnamedFile file;
    file.temporary_path = folder_ + "/tmp/" + name;
    file.fd = std::move(*open_file(file.temporary_path, O_RDWR | O_CREAT, 0444));
    EXPECT_EQ(::flock(file.fd.get(), LOCK_EX | LOCK_NB), 0);
    return file;
  }

  std::string folder_;
};

TEST_F(BlobFilesTest, AFileHasNoNameBeforeItIsPublished) {
  auto files = BlobFiles::open(folder_);
  ASSERT_TRUE(files);
  auto file = files->create();
  ASSERT_TRUE(file);
  ASSERT_TRUE(write_all(file->fd.get(), bytes_of("text"), "file"));
  EXPECT_FALSE(*files->open_blob(blake3("text")));
  BlobFiles::Finished finished{&*file, blake3("text")};
  ASSERT_TRUE(files->publish({&finished, 1}));
  EXPECT_TRUE(*files->open_blob(blake3("text")));
}

TEST_F(BlobFilesTest, PublishingWhatIsThereChangesNothing) {
  auto files = BlobFiles::open(folder_);
  ASSERT_TRUE(files);
  for (const char* content : {"text", "other"}) {
    auto file = files->create();
    ASSERT_TRUE(file);
    ASSERT_TRUE(write_all(file->fd.get(), bytes_of(content), "file"));
    BlobFiles::Finished finished{&*file, blake3("text")};
    ASSERT_TRUE(files->publish({&finished, 1}));
  }
  EXPECT_EQ(*read_whole_file(files->path_of(blake3("text")), 100), "text");
}

TEST_F(BlobFilesTest, ATemporaryNameGoesWhenItsFileIsPublishedOrGivenUp) {
  auto files = BlobFiles::open(folder_);
  ASSERT_TRUE(files);
  {
    UnnamedFile published = named_file("1-0");
    UnnamedFile given_up = named_file("1-1");
    BlobFiles::Finished finished{&published, blake3("")};
    ASSERT_TRUE(files->publish({&finished, 1}));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/tmp"));
  EXPECT_TRUE(*files->open_blob(blake3("")));
}

TEST_F(BlobFilesTest, OpeningRemovesTemporaryFilesOfDeadWritersOnly) {
  UnnamedFile living = named_file("1-0");
  ASSERT_TRUE(write_file_atomically(folder_ + "/tmp/2-0", bytes_of("left behind"), 0444));
  ASSERT_TRUE(BlobFiles::open(folder_));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/tmp/1-0"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/tmp/2-0"));
}

}  // namespace
}  // namespace castore::backends::local
