// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "digest/blake3.h"
#include "model/directory.h"
#include "store/directory_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/store_factory.h"

// What holds for every DirectoryService: one test or more for each sentence of its contract. To be
// included once in a program, which instantiates it with its implementations.
namespace castore::store::testing {

class DirectoryServiceSuite : public ::testing::TestWithParam<StoreFactory> {
 protected:
  DirectoryService& directories() { return *store_->services().directories; }

  void settle() {
    must(directories().sync(ctx_));
    store_->settle();
  }

  Digest put(const Directory& directory) { return must(directories().put(ctx_, directory)); }

  std::shared_ptr<const Directory> get(const Digest& digest) {
    return must(directories().get(ctx_, digest));
  }

  // All but the empty directory, which a service may list or not.
  std::set<Digest> list() {
    std::set<Digest> listed;
    must(directories().list(ctx_, [&](const Digest& digest) -> Result<void> {
      EXPECT_TRUE(listed.insert(digest).second) << digest.to_text() << " came twice";
      return {};
    }));
    listed.erase(Directory().digest());
    return listed;
  }

  // A directory that no other number gives.
  static Directory numbered(uint64_t number) {
    DirectoryBuilder builder;
    must(builder.add("file", FileNode{blake3(std::to_string(number)), number, false}));
    must(builder.add("link", SymlinkNode{must(SymlinkTarget::parse(std::to_string(number)))}));
    return must(builder.build());
  }

  Context ctx_;
  std::unique_ptr<StoreUnderTest> store_ = GetParam().make();
};

TEST_P(DirectoryServiceSuite, AnUnknownDigestGivesNullAndNoError) {
  put(directory_b());
  settle();
  EXPECT_EQ(get(unknown_digest()), nullptr);
  EXPECT_EQ(get(directory_c().digest()), nullptr);
}

TEST_P(DirectoryServiceSuite, TheEmptyDirectoryIsAlwaysThere) {
  auto found = get(Directory().digest());
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->entry_count(), 0u);
  EXPECT_EQ(put(Directory()), Directory().digest());
}

TEST_P(DirectoryServiceSuite, AnEmptyStoreListsNothing) {
  EXPECT_TRUE(list().empty());
}

TEST_P(DirectoryServiceSuite, WhatIsPutIsGivenBackEqual) {
  const Directory all[] = {directory_with_keep(),
                           directory_b(),
                           directory_c(),
                           directory_d(),
                           directory_complicated(),
                           directory_d(SizeConvention::kDoubled),
                           directory_complicated(SizeConvention::kDoubled)};
  for (const Directory& directory : all) EXPECT_EQ(put(directory), directory.digest());
  for (const Directory& directory : all) {
    auto found = get(directory.digest());
    ASSERT_NE(found, nullptr) << "not visible at once";
    EXPECT_EQ(*found, directory);
  }
  settle();
  for (const Directory& directory : all) {
    auto found = get(directory.digest());
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(*found, directory);
    EXPECT_EQ(found->entry_count(), directory.entry_count());
    EXPECT_EQ(found->size(SizeConvention::kDoubled), directory.size(SizeConvention::kDoubled));
  }
}

TEST_P(DirectoryServiceSuite, KnownDirectoriesHaveTheirKnownDigests) {
  EXPECT_EQ(put(directory_complicated()),
            digest_of_hex("3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a"));
  EXPECT_EQ(put(directory_complicated(SizeConvention::kDoubled)),
            digest_of_hex("424a7f6ce08d805d15b428062faae96299a1675d708c3a39261afe38cdd04feb"));
}

TEST_P(DirectoryServiceSuite, NamesAndTargetsAreKeptByteForByte) {
  DirectoryBuilder builder;
  must(builder.add("\xff\xfe", FileNode{blake3("x"), 1, true}));
  must(builder.add(std::string(255, 'n'), SymlinkNode{must(SymlinkTarget::parse("\xc5\xc4\xd6"))}));
  must(builder.add(" \n\t\\", SymlinkNode{must(SymlinkTarget::parse(std::string(4095, 't')))}));
  Directory odd = must(builder.build());
  Digest digest = put(odd);
  settle();
  auto found = get(digest);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found, odd);
  auto file = found->lookup("\xff\xfe");
  ASSERT_TRUE(file.has_value());
  EXPECT_TRUE(file->executable);
}

TEST_P(DirectoryServiceSuite, PuttingTwiceIsPuttingOnce) {
  Digest digest = put(directory_d());
  EXPECT_EQ(put(directory_d()), digest);
  settle();
  EXPECT_EQ(put(directory_d()), digest);
  EXPECT_EQ(list(), std::set<Digest>{digest});
}

TEST_P(DirectoryServiceSuite, ChildrenNeedNotBeThere) {
  DirectoryBuilder builder;
  must(builder.add("gone", DirectoryNode{unknown_digest(), 42}));
  Directory parent = must(builder.build());
  Digest digest = put(parent);
  settle();
  auto found = get(digest);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found, parent);
}

TEST_P(DirectoryServiceSuite, ADirectoryMayBeLarge) {
  DirectoryBuilder builder;
  for (int i = 0; i < 20'000; ++i)
    must(builder.add(fmt::format("entry-{:08}", i), FileNode{blake3(std::to_string(i)), 5, false}));
  Directory large = must(builder.build());
  Digest digest = put(large);
  settle();
  auto found = get(digest);
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(*found == large);
}

TEST_P(DirectoryServiceSuite, WhatWasGivenOutStaysGood) {
  Digest digest = put(numbered(1));
  settle();
  auto found = get(digest);
  ASSERT_NE(found, nullptr);
  for (uint64_t i = 100; i < 300; ++i) put(numbered(i));
  must(directories().sync(ctx_));
  EXPECT_EQ(*found, numbered(1));
}

TEST_P(DirectoryServiceSuite, ListVisitsEachDirectoryOnce) {
  std::set<Digest> expected;
  for (uint64_t i = 0; i < 500; ++i) {
    expected.insert(put(numbered(i)));
    put(numbered(i));
  }
  settle();
  EXPECT_EQ(list(), expected);
}

TEST_P(DirectoryServiceSuite, ListPassesOnTheVisitorsErrorAndStops) {
  for (uint64_t i = 0; i < 10; ++i) put(numbered(i));
  int visited = 0;
  auto result = directories().list(ctx_, [&](const Digest&) -> Result<void> {
    if (++visited == 3) return fail(ErrorKind::kDenied, "enough");
    return {};
  });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kDenied);
  EXPECT_EQ(result.error().message(), "enough");
  EXPECT_EQ(visited, 3);
}

TEST_P(DirectoryServiceSuite, AVisitorMayUseTheService) {
  for (uint64_t i = 0; i < 10; ++i) put(numbered(i));
  settle();
  int found = 0;
  must(directories().list(ctx_, [&](const Digest& digest) -> Result<void> {
    if (CASTORE_TRY(directories().get(ctx_, digest))) ++found;
    return {};
  }));
  EXPECT_GE(found, 10);
}

TEST_P(DirectoryServiceSuite, SyncMayBeCalledAtAnyTime) {
  must(directories().sync(ctx_));
  Digest digest = put(directory_b());
  must(directories().sync(ctx_));
  must(directories().sync(ctx_));
  EXPECT_NE(get(digest), nullptr);
}

TEST_P(DirectoryServiceSuite, ManyThreadsMayStoreAndReadAtOnce) {
  constexpr uint64_t kCount = 200;
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (uint64_t thread = 0; thread < 4; ++thread)
      threads.emplace_back([&, thread] {
        for (uint64_t step = 0; step < kCount; ++step) {
          Directory directory = numbered((step * (2 * thread + 1) + thread * 13) % kCount);
          auto found = get(put(directory));
          if (!found || !(*found == directory)) ++wrong;
          if (step % 50 == 0) must(directories().sync(ctx_));
        }
      });
  }
  EXPECT_EQ(wrong, 0);
  settle();
  EXPECT_EQ(list().size(), kCount);
}

}  // namespace castore::store::testing
