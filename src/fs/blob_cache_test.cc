// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/blob_cache.h"

#include <gtest/gtest.h>

#include <string>

#include "backends/memory/memory_services.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"

namespace castore::fs {
namespace {

using store::testing::BlobOperation;
using store::testing::FaultyBlobService;
using store::testing::must;

class BlobCacheTest : public ::testing::Test {
 protected:
  Digest put(const std::string& content) { return store::testing::put_blob(services_, content); }
  uint64_t opens() { return service_->faults().calls(BlobOperation::kOpen); }

  store::Services services_ = backends::memory_services();
  // The double hides what is in memory, so that each blob counts as one descriptor.
  std::shared_ptr<FaultyBlobService> service_ =
      std::make_shared<FaultyBlobService>(services_.blobs);
};

TEST_F(BlobCacheTest, OpensABlobOnceWhileThereIsRoom) {
  BlobCache cache(service_, 3 * BlobCache::kBytesPerDescriptor + 10'000);
  Digest first = put("0");
  auto blob = must(cache.get(Context(), first, 1));
  EXPECT_EQ(must(cache.get(Context(), first, 1)), blob);
  EXPECT_EQ(opens(), 1u);
  for (int i = 1; i <= 3; ++i) must(cache.get(Context(), put(std::to_string(i)), 1));
  EXPECT_LE(cache.bytes(), 3 * BlobCache::kBytesPerDescriptor + 10'000);
  EXPECT_NE(must(cache.get(Context(), first, 1)), blob);
  EXPECT_EQ(opens(), 5u);
  EXPECT_EQ(blob->reader->size(), 1u);  // who has it keeps it
}

TEST_F(BlobCacheTest, EachCallersSizeIsCompared) {
  BlobCache cache(service_, 1 << 20);
  Digest digest = put("0123456789");
  EXPECT_EQ(cache.get(Context(), digest, 11).error().kind(), ErrorKind::kCorrupt);
  EXPECT_NE(must(cache.get(Context(), digest, 10)), nullptr);
  EXPECT_EQ(cache.get(Context(), digest, 9).error().kind(), ErrorKind::kCorrupt);
}

TEST_F(BlobCacheTest, AbsenceIsNotRemembered) {
  BlobCache cache(service_, 1 << 20);
  EXPECT_EQ(must(cache.get(Context(), store::testing::unknown_digest(), 1)), nullptr);
  EXPECT_EQ(must(cache.get(Context(), store::testing::unknown_digest(), 1)), nullptr);
  EXPECT_EQ(opens(), 2u);
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace castore::fs
