// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/directory_cache.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "backends/memory/memory_services.h"
#include "store/testing/faulty_directory_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/gated_directory_service.h"
#include "store/testing/must.h"

namespace castore::fs {
namespace {

using store::testing::DirectoryOperation;
using store::testing::FaultyDirectoryService;
using store::testing::must;

constexpr size_t kFileEntryBytes = 40;  // at least

class DirectoryCacheTest : public ::testing::Test {
 protected:
  // A directory of `entries` files, different for each `seed`.
  Digest put_directory(size_t entries, uint64_t seed) {
    DirectoryBuilder builder;
    for (size_t i = 0; i < entries; ++i)
      must(builder.add(std::to_string(seed) + "-" + std::to_string(i),
                       FileNode{store::testing::unknown_digest(), i, false}));
    return must(service_->put(Context(), must(builder.build())));
  }

  uint64_t gets() { return service_->faults().calls(DirectoryOperation::kGet); }

  std::shared_ptr<FaultyDirectoryService> service_ =
      std::make_shared<FaultyDirectoryService>(backends::memory_directory_service());
};

TEST_F(DirectoryCacheTest, AsksForADirectoryOnce) {
  DirectoryCache cache(service_, 1 << 20, 1 << 20);
  Digest digest = put_directory(3, 1);
  auto first = must(cache.get(Context(), digest));
  auto second = must(cache.get(Context(), digest));
  EXPECT_EQ(first, second);
  EXPECT_EQ(first->entry_count(), 3u);
  EXPECT_EQ(gets(), 1u);
}

TEST_F(DirectoryCacheTest, AbsenceAndFailureAreNotRemembered) {
  DirectoryCache cache(service_, 1 << 20, 1 << 20);
  Digest digest = must(service_->put(Context(), store::testing::directory_with_keep()));
  EXPECT_EQ(must(cache.get(Context(), store::testing::unknown_digest())), nullptr);
  EXPECT_EQ(must(cache.get(Context(), store::testing::unknown_digest())), nullptr);
  EXPECT_EQ(gets(), 2u);
  service_->faults().fail_call(DirectoryOperation::kGet, 1,
                               Error(ErrorKind::kUnavailable, "no network"));
  EXPECT_FALSE(cache.get(Context(), digest).has_value());
  EXPECT_NE(must(cache.get(Context(), digest)), nullptr);
}

TEST_F(DirectoryCacheTest, StaysBelowItsBytesAndDropsTheLeastRecentlyUsed) {
  constexpr size_t kEntries = 100;
  constexpr size_t kBytesMax = 10 * kEntries * 2 * kFileEntryBytes;
  DirectoryCache cache(service_, kBytesMax, 0);
  std::vector<Digest> digests;
  for (uint64_t seed = 0; seed < 20; ++seed) digests.push_back(put_directory(kEntries, seed));
  for (const Digest& digest : digests) {
    must(cache.get(Context(), digest));
    must(cache.get(Context(), digests[0]));  // used all the time
    EXPECT_LE(cache.bytes(), kBytesMax);
  }
  uint64_t before = gets();
  EXPECT_EQ(before, digests.size());
  must(cache.get(Context(), digests[0]));
  must(cache.get(Context(), digests.back()));
  EXPECT_EQ(gets(), before);
  must(cache.get(Context(), digests[1]));
  EXPECT_EQ(gets(), before + 1);
}

TEST_F(DirectoryCacheTest, KeepsTheLastDirectoryHoweverLarge) {
  DirectoryCache cache(service_, 1000, 1000);
  Digest large = put_directory(10'000, 1);
  must(cache.get(Context(), large));
  must(cache.get(Context(), large));
  EXPECT_EQ(gets(), 1u);
  must(cache.get(Context(), put_directory(1, 2)));
  EXPECT_LE(cache.bytes(), 1000u);
}

TEST_F(DirectoryCacheTest, LargeOnesAndSmallOnesDoNotDriveEachOtherOut) {
  constexpr size_t kSmallBytesMax = 20'000;
  constexpr size_t kLargeBytesMax = 4'000'000;
  DirectoryCache cache(service_, kSmallBytesMax, kLargeBytesMax);
  const Digest large[] = {put_directory(20'000, 1), put_directory(20'000, 2)};
  std::vector<Digest> small;
  for (uint64_t seed = 0; seed < 100; ++seed) small.push_back(put_directory(1, 10 + seed));
  for (size_t i = 0; i < small.size(); ++i) {
    must(cache.get(Context(), large[i % 2]));
    must(cache.get(Context(), small[i]));
    must(cache.get(Context(), small[0]));  // used all the time
  }
  EXPECT_EQ(gets(), std::size(large) + small.size());
  // The room of the large ones has its bound too.
  for (uint64_t seed = 200; seed < 205; ++seed) {
    must(cache.get(Context(), put_directory(20'000, seed)));
    EXPECT_LE(cache.bytes(), kSmallBytesMax + kLargeBytesMax);
  }
  cache.clear();
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST_F(DirectoryCacheTest, AFetchThatHangsHoldsUpNoOtherDirectory) {
  auto gated = std::make_shared<store::testing::GatedDirectoryService>(service_);
  DirectoryCache cache(gated, 1 << 20, 1 << 20);
  Digest slow = put_directory(1, 1);
  Digest kept = put_directory(1, 2);
  must(cache.get(Context(), kept));
  gated->gate().close();
  std::thread reader([&] { EXPECT_NE(must(cache.get(Context(), slow)), nullptr); });
  gated->gate().wait_until_held(1);
  EXPECT_NE(must(cache.get(Context(), kept)), nullptr);
  // A second reader of the slow one waits for the first instead of asking too, until its own
  // patience ends.
  Context hurried;
  hurried.deadline = std::chrono::steady_clock::now();
  EXPECT_EQ(cache.get(hurried, slow).error().kind(), ErrorKind::kUnavailable);
  gated->gate().open();
  reader.join();
  must(cache.get(Context(), slow));
  EXPECT_EQ(gets(), 2u);
}

}  // namespace
}  // namespace castore::fs
