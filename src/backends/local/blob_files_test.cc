// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/blob_files.h"

#include <gtest/gtest.h>
#include <sys/file.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/file.h"
#include "digest/blake3.h"

namespace castore::backends::local {
namespace {

class BlobFilesTest : public testing::Test {
 protected:
  BlobFilesTest() {
    std::string pattern = testing::TempDir() + "/blob_files.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    // The way of filesystems without unnamed files: a locked name in tmp/.
    named_tuning_.unnamed_files = false;
  }
  ~BlobFilesTest() override { std::filesystem::remove_all(folder_); }

  BlobFiles prepared(const Tuning& tuning = {}) {
    BlobFiles files(folder_, tuning);
    auto prepared = files.prepare();
    EXPECT_TRUE(prepared) << prepared.error().message();
    return files;
  }

  static UnnamedFile written(const BlobFiles& files, std::string_view content) {
    auto file = files.create();
    EXPECT_TRUE(file) << file.error().message();
    EXPECT_TRUE(write_all(file->fd.get(), bytes_of(content), "file"));
    return std::move(*file);
  }

  static void publish(const BlobFiles& files, const UnnamedFile& file, const Digest& digest) {
    BlobFiles::Finished finished{&file, digest};
    for (auto step : {files.flush({&finished, 1}), files.name({&finished, 1}),
                      files.flush_names({&finished, 1})})
      EXPECT_TRUE(step) << step.error().message();
  }

  bool tmp_is_empty() const {
    std::string tmp = folder_ + "/tmp";
    return !std::filesystem::exists(tmp) || std::filesystem::is_empty(tmp);
  }

  std::string folder_;
  Tuning named_tuning_;
};

TEST_F(BlobFilesTest, AFileHasNoNameBeforeItIsPublished) {
  for (const Tuning& tuning : {Tuning(), named_tuning_}) {
    BlobFiles files = prepared(tuning);
    Digest digest = blake3(tuning.unnamed_files ? "one" : "two");
    UnnamedFile file = written(files, "text");
    EXPECT_FALSE(*files.open_blob(digest));
    publish(files, file, digest);
    EXPECT_TRUE(*files.open_blob(digest));
    EXPECT_TRUE(files.has_blob(digest, 4));
    EXPECT_FALSE(files.has_blob(digest, 5));
  }
}

TEST_F(BlobFilesTest, PublishingReplacesWhatIsThere) {
  for (const Tuning& tuning : {Tuning(), named_tuning_}) {
    BlobFiles files = prepared(tuning);
    Digest digest = blake3("whole");
    for (const char* content : {"damaged", "whole"}) {
      UnnamedFile file = written(files, content);
      publish(files, file, digest);
      publish(files, file, digest);  // as after a later step failed
    }
    EXPECT_EQ(*read_whole_file(files.path_of(digest), 100), "whole");
    EXPECT_TRUE(tmp_is_empty());
    std::filesystem::remove(files.path_of(digest));
  }
}

TEST_F(BlobFilesTest, ATemporaryNameGoesWhenItsFileIsPublishedOrGivenUp) {
  BlobFiles files = prepared(named_tuning_);
  {
    UnnamedFile published = written(files, "");
    UnnamedFile given_up = written(files, "");
    EXPECT_FALSE(tmp_is_empty());
    publish(files, published, blake3(""));
  }
  EXPECT_TRUE(tmp_is_empty());
  EXPECT_TRUE(*files.open_blob(blake3("")));
}

TEST_F(BlobFilesTest, OpeningRemovesTemporaryFilesOfDeadWritersOnly) {
  BlobFiles files = prepared(named_tuning_);
  UnnamedFile living = written(files, "");
  ASSERT_TRUE(write_file_atomically(folder_ + "/tmp/2-0", bytes_of("left behind"), 0444));
  prepared();
  EXPECT_TRUE(std::filesystem::exists(living.temporary_path));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/tmp/2-0"));
}

// Whoever sweeps may come between the making of a name and its lock.
TEST_F(BlobFilesTest, ASweepNeverTakesAFileFromALivingWriter) {
  BlobFiles files = prepared(named_tuning_);
  std::atomic<bool> done{false};
  std::vector<std::thread> sweepers;
  for (int i = 0; i < 4; ++i)
    sweepers.emplace_back([&] {
      while (!done) (void)files.prepare();
    });
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    auto file = files.create();
    EXPECT_TRUE(file) << file.error().message();
    if (!file) break;
    EXPECT_TRUE(std::filesystem::exists(file->temporary_path)) << i;
  }
  done = true;
  for (std::thread& sweeper : sweepers) sweeper.join();
}

TEST_F(BlobFilesTest, ADamagedFileIsSetAside) {
  BlobFiles files = prepared();
  UnnamedFile file = written(files, "text");
  publish(files, file, blake3("text"));
  ASSERT_TRUE(files.set_aside(blake3("text")));
  EXPECT_FALSE(*files.open_blob(blake3("text")));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/damaged/" + blake3("text").to_hex()));
  EXPECT_TRUE(files.set_aside(blake3("text"))) << "none there is fine";
}

}  // namespace
}  // namespace castore::backends::local
