// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "digest/blake3.h"
#include "store/blob_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/store_factory.h"

// What holds for every BlobService: one test or more for each sentence of its contract. To be
// included once in a program, which instantiates it with its implementations.
namespace castore::store::testing {

class BlobServiceSuite : public ::testing::TestWithParam<StoreFactory> {
 protected:
  BlobService& blobs() { return *store_->services().blobs; }

  // Everything stored by now stays, whatever the store does to itself here.
  void settle() {
    must(blobs().sync(ctx_));
    store_->settle();
  }

  StoredBlob put(std::string_view content) {
    return must(blobs().put(ctx_, blake3(content), Bytes::copy_of(content)));
  }

  StoredBlob write(std::string_view content, size_t piece_bytes) {
    auto writer = must(blobs().create(ctx_));
    for (size_t offset = 0; offset < content.size(); offset += piece_bytes)
      must(writer->append(bytes_of(content.substr(offset, piece_bytes))));
    return must(writer->commit());
  }

  // The blob by one read of all of it; a mark that is no blob's content when it is absent.
  std::string read(const Digest& digest) {
    auto reader = must(blobs().open(ctx_, digest));
    if (!reader) return "(absent)";
    std::string content(static_cast<size_t>(reader->size()), '?');
    size_t n = read_at(*reader, 0, content);
    EXPECT_EQ(n, content.size());
    return content;
  }

  static size_t read_at(BlobReader& reader, uint64_t offset, std::string& out) {
    return must(
        reader.read_at(Context(), offset, {reinterpret_cast<std::byte*>(out.data()), out.size()}));
  }

  // All but the empty blob, which a service may list or not.
  std::map<Digest, uint64_t> list() {
    std::map<Digest, uint64_t> listed;
    must(blobs().list(ctx_, [&](const Digest& digest, uint64_t size) -> Result<void> {
      EXPECT_TRUE(listed.emplace(digest, size).second) << digest.to_text() << " came twice";
      return {};
    }));
    listed.erase(blake3(""));
    return listed;
  }

  Context ctx_;
  std::unique_ptr<StoreUnderTest> store_ = GetParam().make();
};

// Around the sizes where implementations change their ways.
inline constexpr size_t kSuiteSizes[] = {0,         1,          4095,           4096,
                                         64 * 1024, 256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024};

TEST_P(BlobServiceSuite, AnUnknownDigestIsAbsentAndNotAnError) {
  put("something else");
  settle();
  EXPECT_FALSE(must(blobs().has(ctx_, unknown_digest())));
  EXPECT_FALSE(must(blobs().has(ctx_, another_unknown_digest())));
  EXPECT_EQ(must(blobs().open(ctx_, unknown_digest())), nullptr);
}

TEST_P(BlobServiceSuite, TheEmptyBlobIsAlwaysThere) {
  EXPECT_TRUE(must(blobs().has(ctx_, blake3(""))));
  auto reader = must(blobs().open(ctx_, blake3("")));
  ASSERT_NE(reader, nullptr);
  EXPECT_EQ(reader->size(), 0u);
  std::string out(10, '?');
  EXPECT_EQ(read_at(*reader, 0, out), 0u);
}

TEST_P(BlobServiceSuite, TheEmptyBlobIsNeverNew) {
  StoredBlob stored = put("");
  EXPECT_EQ(stored.digest, blake3(""));
  EXPECT_FALSE(stored.is_new);
  EXPECT_FALSE(write("", 1).is_new);
}

TEST_P(BlobServiceSuite, AnEmptyStoreListsNothing) {
  EXPECT_TRUE(list().empty());
}

TEST_P(BlobServiceSuite, WhatIsPutIsReadBack) {
  for (size_t size : kSuiteSizes) {
    std::string content = noise(size, size);
    StoredBlob stored = put(content);
    EXPECT_EQ(stored.digest, blake3(content)) << size;
    EXPECT_EQ(stored.size, size);
    EXPECT_EQ(stored.is_new, size != 0) << size;
  }
  settle();
  for (size_t size : kSuiteSizes) {
    std::string content = noise(size, size);
    EXPECT_TRUE(must(blobs().has(ctx_, blake3(content)))) << size;
    EXPECT_TRUE(read(blake3(content)) == content) << size;
  }
}

TEST_P(BlobServiceSuite, WhatIsWrittenIsReadBack) {
  for (size_t size : kSuiteSizes) {
    std::string content = noise(size, size);
    StoredBlob stored = write(content, 10'007);
    EXPECT_EQ(stored.digest, blake3(content)) << size;
    EXPECT_EQ(stored.size, size);
    EXPECT_EQ(stored.is_new, size != 0) << size;
  }
  settle();
  for (size_t size : kSuiteSizes) {
    std::string content = noise(size, size);
    EXPECT_TRUE(must(blobs().has(ctx_, blake3(content)))) << size;
    EXPECT_TRUE(read(blake3(content)) == content) << size;
  }
}

TEST_P(BlobServiceSuite, WhatIsStoredIsVisibleAtOnce) {
  for (size_t size : kSuiteSizes) {
    std::string first = noise(size, 1);
    put(first);
    EXPECT_TRUE(must(blobs().has(ctx_, blake3(first)))) << size;
    EXPECT_TRUE(read(blake3(first)) == first) << size;
    std::string second = noise(size, 2);
    write(second, 65'536);
    EXPECT_TRUE(must(blobs().has(ctx_, blake3(second)))) << size;
    EXPECT_TRUE(read(blake3(second)) == second) << size;
  }
}

TEST_P(BlobServiceSuite, KnownBlobsGetTheirKnownDigests) {
  EXPECT_EQ(write(kHelloWorld, 5).digest, hello_world_digest());
  EXPECT_EQ(write(blob_a(), 1).digest, blob_a_digest());
  EXPECT_EQ(write(blob_b(), 100'000).digest, blob_b_digest());
  settle();
  EXPECT_EQ(read(hello_world_digest()), kHelloWorld);
  EXPECT_EQ(read(blob_a_digest()), blob_a());
  EXPECT_TRUE(read(blob_b_digest()) == blob_b());
}

TEST_P(BlobServiceSuite, HowABlobIsCutIntoPiecesMakesNoDifference) {
  std::string content = noise(300'000, 7);
  EXPECT_TRUE(write(content, 300'000).is_new);
  for (size_t piece_bytes : {size_t{997}, size_t{65'536}, size_t{262'144}, size_t{262'145}}) {
    StoredBlob stored = write(content, piece_bytes);
    EXPECT_EQ(stored.digest, blake3(content)) << piece_bytes;
    EXPECT_EQ(stored.size, content.size()) << piece_bytes;
    EXPECT_FALSE(stored.is_new) << piece_bytes;
  }
  auto writer = must(blobs().create(ctx_));
  must(writer->append({}));
  must(writer->append(bytes_of(content)));
  must(writer->append({}));
  EXPECT_EQ(must(writer->commit()).digest, blake3(content));
}

TEST_P(BlobServiceSuite, ABlobIsNewOnce) {
  for (size_t size : {size_t{100}, size_t{400'000}}) {
    std::string content = noise(size, 3);
    EXPECT_TRUE(put(content).is_new) << size;
    EXPECT_FALSE(put(content).is_new) << size;
    EXPECT_FALSE(write(content, 4096).is_new) << size;
    settle();
    EXPECT_FALSE(put(content).is_new) << size;
    EXPECT_FALSE(write(content, 4096).is_new) << size;
    EXPECT_TRUE(read(blake3(content)) == content) << size;
  }
  EXPECT_EQ(list().size(), 2u);
}

TEST_P(BlobServiceSuite, ReadsEndAtTheEndOfTheBlob) {
  for (size_t size : {size_t{1000}, size_t{256 * 1024}, size_t{1'000'000}}) {
    std::string content = noise(size, 4);
    put(content);
    settle();
    auto reader = must(blobs().open(ctx_, blake3(content)));
    ASSERT_NE(reader, nullptr);
    EXPECT_EQ(reader->size(), size);

    std::string out(100, '?');
    EXPECT_EQ(read_at(*reader, size - 100, out), 100u);
    EXPECT_EQ(out, content.substr(size - 100));
    EXPECT_EQ(read_at(*reader, size - 30, out), 30u);
    EXPECT_EQ(out.substr(0, 30), content.substr(size - 30));
    EXPECT_EQ(read_at(*reader, size, out), 0u);
    EXPECT_EQ(read_at(*reader, size + 1, out), 0u);
    EXPECT_EQ(read_at(*reader, uint64_t{1} << 40, out), 0u);
    EXPECT_EQ(read_at(*reader, UINT64_MAX, out), 0u);
    std::string nothing;
    EXPECT_EQ(read_at(*reader, 0, nothing), 0u);
    EXPECT_EQ(read_at(*reader, size, nothing), 0u);

    std::string more(size + 50, '?');
    EXPECT_EQ(read_at(*reader, 0, more), size);
    more.resize(size);
    EXPECT_TRUE(more == content);
  }
}

TEST_P(BlobServiceSuite, ReadsMayComeInAnyOrder) {
  std::string content = blob_b();
  write(content, 1 << 16);
  settle();
  auto reader = must(blobs().open(ctx_, blob_b_digest()));
  ASSERT_NE(reader, nullptr);
  for (size_t offset : {size_t{0}, size_t{10}, size_t{25}, size_t{12'380}, size_t{1'044'470},
                        size_t{500'000}, size_t{4095}, size_t{0}}) {
    std::string out(10, '?');
    EXPECT_EQ(read_at(*reader, offset, out), 10u);
    EXPECT_EQ(out, content.substr(offset, 10)) << offset;
  }
}

TEST_P(BlobServiceSuite, BytesInMemoryAreTheWholeBlobAndOutliveTheReader) {
  for (size_t size : kSuiteSizes) put(noise(size, size));
  settle();
  for (size_t size : kSuiteSizes) {
    auto reader = must(blobs().open(ctx_, blake3(noise(size, size))));
    ASSERT_NE(reader, nullptr) << size;
    std::optional<Bytes> bytes = reader->in_memory();
    reader.reset();
    if (bytes) {
      EXPECT_TRUE(bytes->text() == noise(size, size)) << size;
    }
  }
}

TEST_P(BlobServiceSuite, AReaderStaysGoodWhileOthersStore) {
  std::string content = noise(700'000, 5);
  put(content);
  auto reader = must(blobs().open(ctx_, blake3(content)));
  ASSERT_NE(reader, nullptr);
  write(content, 65'536);
  for (uint64_t seed = 0; seed < 20; ++seed) put(noise(300'000, 100 + seed));
  must(blobs().sync(ctx_));
  std::string out(content.size(), '?');
  EXPECT_EQ(read_at(*reader, 0, out), content.size());
  EXPECT_TRUE(out == content);
}

TEST_P(BlobServiceSuite, NothingIsVisibleBeforeCommit) {
  for (size_t size : {size_t{100}, size_t{1'000'000}}) {
    std::string content = noise(size, 6);
    auto writer = must(blobs().create(ctx_));
    must(writer->append(bytes_of(content)));
    must(blobs().sync(ctx_));
    EXPECT_FALSE(must(blobs().has(ctx_, blake3(content)))) << size;
    EXPECT_EQ(must(blobs().open(ctx_, blake3(content))), nullptr) << size;
    EXPECT_FALSE(list().contains(blake3(content))) << size;
    must(writer->commit());
    EXPECT_TRUE(must(blobs().has(ctx_, blake3(content)))) << size;
  }
}

TEST_P(BlobServiceSuite, AnAbandonedWriterLeavesNoTrace) {
  for (size_t size : {size_t{100}, size_t{1'000'000}}) {
    std::string content = noise(size, 8);
    {
      auto writer = must(blobs().create(ctx_));
      must(writer->append(bytes_of(content)));
    }
    {
      auto unused = must(blobs().create(ctx_));
    }
    settle();
    EXPECT_FALSE(must(blobs().has(ctx_, blake3(content)))) << size;
    EXPECT_TRUE(list().empty()) << size;
  }
}

TEST_P(BlobServiceSuite, TwoWritersOfOneBlobBothSucceed) {
  for (size_t size : {size_t{100}, size_t{1'000'000}}) {
    std::string content = noise(size, 9);
    auto one = must(blobs().create(ctx_));
    auto two = must(blobs().create(ctx_));
    must(one->append(bytes_of(content)));
    must(two->append(bytes_of(content)));
    EXPECT_EQ(must(one->commit()).digest, blake3(content));
    EXPECT_EQ(must(two->commit()).digest, blake3(content));
    EXPECT_TRUE(read(blake3(content)) == content);
    EXPECT_EQ(list().count(blake3(content)), 1u);
  }
}

TEST_P(BlobServiceSuite, ListVisitsEachBlobOnceWithItsSize) {
  std::map<Digest, uint64_t> expected;
  for (size_t size : kSuiteSizes) {
    std::string content = noise(size, 10);
    put(content);
    write(content, 50'000);
    if (size > 0) expected.emplace(blake3(content), size);
  }
  for (uint64_t seed = 0; seed < 500; ++seed) {
    std::string content = noise(20, seed);
    put(content);
    expected.emplace(blake3(content), 20);
  }
  settle();
  EXPECT_EQ(list(), expected);
}

TEST_P(BlobServiceSuite, ListPassesOnTheVisitorsErrorAndStops) {
  for (uint64_t seed = 0; seed < 10; ++seed) put(noise(20, seed));
  int visited = 0;
  auto result = blobs().list(ctx_, [&](const Digest&, uint64_t) -> Result<void> {
    if (++visited == 3) return fail(ErrorKind::kDenied, "enough");
    return {};
  });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kDenied);
  EXPECT_EQ(result.error().message(), "enough");
  EXPECT_EQ(visited, 3);
}

TEST_P(BlobServiceSuite, AVisitorMayUseTheService) {
  for (uint64_t seed = 0; seed < 10; ++seed) put(noise(20, seed));
  settle();
  int opened = 0;
  must(blobs().list(ctx_, [&](const Digest& digest, uint64_t size) -> Result<void> {
    auto reader = CASTORE_TRY(blobs().open(ctx_, digest));
    EXPECT_TRUE(reader && reader->size() == size);
    ++opened;
    return {};
  }));
  EXPECT_GE(opened, 10);
}

TEST_P(BlobServiceSuite, SyncMayBeCalledAtAnyTime) {
  must(blobs().sync(ctx_));
  put("a");
  must(blobs().sync(ctx_));
  must(blobs().sync(ctx_));
  EXPECT_EQ(read(blake3("a")), "a");
}

TEST_P(BlobServiceSuite, ManyThreadsMayReadOneReader) {
  std::string content = noise(3 * 1024 * 1024, 11);
  put(content);
  settle();
  auto reader = must(blobs().open(ctx_, blake3(content)));
  ASSERT_NE(reader, nullptr);
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (size_t thread = 0; thread < 4; ++thread)
      threads.emplace_back([&, thread] {
        for (size_t i = 0; i < 200; ++i) {
          size_t offset = (i * 40'009 + thread * 700'001) % content.size();
          std::string out(8192, '?');
          size_t n = read_at(*reader, offset, out);
          out.resize(n);
          if (out != content.substr(offset, 8192)) ++wrong;
        }
      });
  }
  EXPECT_EQ(wrong, 0);
}

TEST_P(BlobServiceSuite, ManyThreadsMayStoreAndReadAtOnce) {
  constexpr uint64_t kBlobCount = 60;
  // Every tenth is large; all threads store all blobs, in different orders and ways.
  auto content_of = [](uint64_t i) { return noise(i % 10 == 0 ? 300'000 : 500 + i, 1000 + i); };
  std::atomic<int> wrong{0};
  std::vector<std::atomic<int>> new_count(kBlobCount);
  {
    std::vector<std::jthread> threads;
    for (uint64_t thread = 0; thread < 4; ++thread)
      threads.emplace_back([&, thread] {
        for (uint64_t step = 0; step < kBlobCount; ++step) {
          uint64_t i = (step * (2 * thread + 1) + thread * 13) % kBlobCount;
          std::string content = content_of(i);
          StoredBlob stored = thread % 2 == 0 ? put(content) : write(content, 70'000);
          if (stored.is_new) ++new_count[i];
          if (stored.digest != blake3(content) || read(stored.digest) != content) ++wrong;
          if (step % 20 == 0) must(blobs().sync(ctx_));
        }
      });
  }
  EXPECT_EQ(wrong, 0);
  for (uint64_t i = 0; i < kBlobCount; ++i) EXPECT_GE(new_count[i], 1) << i;
  settle();
  EXPECT_EQ(list().size(), kBlobCount);
  for (uint64_t i = 0; i < kBlobCount; ++i)
    EXPECT_TRUE(read(blake3(content_of(i))) == content_of(i)) << i;
}

}  // namespace castore::store::testing
