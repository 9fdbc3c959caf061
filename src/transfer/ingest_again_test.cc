// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "backends/memory/memory_services.h"
#include "digest/blake3.h"
#include "store/testing/fake_import_cache.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"
#include "transfer/ingest.h"
#include "transfer/render_nar.h"
#include "transfer/source_reader.h"

// Importing what an import cache knows.
namespace castore::transfer {
namespace {

using store::testing::BlobOperation;
using store::testing::must;

class IngestAgain : public testing::Test {
 protected:
  IngestAgain() {
    services_.blobs = blobs_;
    services_.import_cache = cache_;
  }

  void SetUp() override {
    const UniqueFd folder(::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto filesystem = lasting_filesystem(folder.get());
    if (!filesystem) GTEST_SKIP() << "files in " << folder_.path() << " are never remembered";
    filesystem_ = filesystem->id;
  }

  // As if an earlier import had found the file old enough to be remembered.
  void know(const std::string& path, std::string_view content) {
    struct stat status;
    ASSERT_EQ(::lstat(path.c_str(), &status), 0);
    const auto ns = [](const struct timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
    must(cache_->remember_source(ctx_,
                                 {.filesystem = filesystem_,
                                  .device = status.st_dev,
                                  .inode = status.st_ino,
                                  .size = static_cast<uint64_t>(status.st_size),
                                  .mtime_ns = ns(status.st_mtim),
                                  .ctime_ns = ns(status.st_ctim)},
                                 blake3(content)));
  }

  Ingested ingest() {
    return must(ingest_path(ctx_, services_, folder_.path(), {.compute_nar = true}, tally_));
  }

  uint64_t calls(BlobOperation operation) { return blobs_->faults().calls(operation); }

  Context ctx_;
  uint64_t filesystem_ = 0;
  store::testing::TempFolder folder_;
  store::Services services_ = backends::memory_services();
  Tally tally_;
  std::shared_ptr<store::testing::FaultyBlobService> blobs_ =
      std::make_shared<store::testing::FaultyBlobService>(backends::memory_blob_service());
  std::shared_ptr<store::testing::FakeImportCache> cache_ =
      std::make_shared<store::testing::FakeImportCache>();
};

TEST_F(IngestAgain, AnUnchangedTreeIsNeitherReadNorRendered) {
  const std::string large = store::testing::noise(kFileInMemoryBytesMax + 1, 1);
  know(folder_.write_file("small", "content", 0755), "content");
  know(folder_.write_file("large", large), large);
  // The first import knows the files, but not yet the NAR.
  for (std::string_view content : {std::string_view("content"), std::string_view(large)})
    store::testing::put_blob(services_, content);
  const Ingested first = ingest();
  const uint64_t puts = calls(BlobOperation::kPut);
  const uint64_t opens = calls(BlobOperation::kOpen);
  const uint64_t nar_hits = cache_->nar_hits();

  const Ingested second = ingest();
  EXPECT_EQ(second.root, first.root);
  EXPECT_EQ(second.nar, first.nar);
  EXPECT_EQ(calls(BlobOperation::kPut), puts);
  EXPECT_EQ(calls(BlobOperation::kOpen), opens);
  EXPECT_EQ(calls(BlobOperation::kCreate), 0u);
  EXPECT_EQ(cache_->nar_hits(), nar_hits + 1);
}

TEST_F(IngestAgain, APartlyKnownTreeStillGetsTheRightNar) {
  folder_.write_file("a", "first");
  know(folder_.write_file("b", "second"), "second");
  folder_.write_file("c", "third");
  store::testing::put_blob(services_, "second");
  const Ingested ingested = ingest();
  EXPECT_EQ(ingested.nar, must(summarize_nar(ctx_, services_, ingested.root)));
  EXPECT_EQ(cache_->source_hits(), 1u);
  EXPECT_EQ(cache_->nar_count(), 1u);
}

TEST_F(IngestAgain, ANewTreeIsHashedWithoutReadingTheStore) {
  folder_.write_file("a", "first");
  const Ingested ingested = ingest();
  EXPECT_TRUE(ingested.nar);
  EXPECT_EQ(calls(BlobOperation::kOpen), 0u);
  EXPECT_EQ(must(cache_->find_nar(ctx_, ingested.root)), ingested.nar);
}

}  // namespace
}  // namespace castore::transfer
