// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "nix/path_info.h"
#include "store/path_info_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/store_factory.h"

// What holds for every PathInfoService: one test or more for each sentence of its contract. To be
// included once in a program, which instantiates it with its implementations.
namespace castore::store::testing {

class PathInfoServiceSuite : public ::testing::TestWithParam<StoreFactory> {
 protected:
  PathInfoService& path_infos() { return *store_->services().path_infos; }

  // No `sync` before: `put` returned, so it lasts.
  void settle() { store_->settle(); }

  void put(const nix::PathInfo& info) { must(path_infos().put(ctx_, info)); }

  std::optional<nix::PathInfo> get(const nix::StorePath& path) {
    return must(path_infos().get(ctx_, path.digest()));
  }

  std::vector<nix::PathInfo> list() {
    std::vector<nix::PathInfo> listed;
    must(path_infos().list(
        ctx_, [&](const nix::StorePathDigest& digest, Result<nix::PathInfo> info) -> Result<void> {
          listed.push_back(must(std::move(info)));
          EXPECT_EQ(listed.back().store_path.digest(), digest);
          return {};
        }));
    return listed;
  }

  static nix::PathInfo simple(uint64_t seed, std::string name = "name") {
    return path_info(store_path(seed, std::move(name)), FileNode{hello_world_digest(), 12, false});
  }

  // A record with everything a record can have.
  static nix::PathInfo full() {
    nix::PathInfo info =
        path_info(store_path(1, "full-1.0"), DirectoryNode{directory_d().digest(), 3});
    info.references = {store_path(1, "full-1.0"), store_path(2, "other_a"), store_path(3, "b=?+")};
    std::ranges::sort(info.references, {}, &nix::StorePath::digest);
    nix::Signature signature;
    signature.name = "cache.example.org-1";
    for (size_t i = 0; i < signature.data.size(); ++i)
      signature.data[i] = static_cast<std::byte>(i);
    info.signatures = {signature, signature};
    info.signatures[1].name = "second-1";
    info.deriver = store_path(4, "full-1.0");
    info.content_address =
        nix::ContentAddress{nix::ContentAddress::Kind::kNarSha256,
                            std::vector<std::byte>(info.nar_sha256.begin(), info.nar_sha256.end())};
    return info;
  }

  Context ctx_;
  std::unique_ptr<StoreUnderTest> store_ = GetParam().make();
};

TEST_P(PathInfoServiceSuite, AnUnknownDigestGivesNothingAndNoError) {
  put(simple(1));
  settle();
  EXPECT_FALSE(get(store_path(2, "name")).has_value());
}

TEST_P(PathInfoServiceSuite, AnEmptyStoreListsNothing) {
  EXPECT_TRUE(list().empty());
}

TEST_P(PathInfoServiceSuite, WhatIsPutIsGivenBackEqual) {
  put(full());
  EXPECT_EQ(get(full().store_path), full()) << "not visible at once";
  settle();
  EXPECT_EQ(get(full().store_path), full());
}

TEST_P(PathInfoServiceSuite, EveryKindOfNodeIsKept) {
  const Node nodes[] = {DirectoryNode{directory_b().digest(), 1},
                        FileNode{hello_world_digest(), 12, false},
                        FileNode{hello_world_digest(), 12, true},
                        SymlinkNode{must(SymlinkTarget::parse("/nix/store/somewhereelse"))}};
  for (uint64_t i = 0; i < std::size(nodes); ++i) put(path_info(store_path(i, "node"), nodes[i]));
  settle();
  for (uint64_t i = 0; i < std::size(nodes); ++i) {
    auto found = get(store_path(i, "node"));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->node, nodes[i]);
  }
}

TEST_P(PathInfoServiceSuite, TheDigestAloneFindsARecord) {
  put(simple(1, "its-name"));
  settle();
  auto found = get(store_path(1, "another-name"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->store_path.name(), "its-name");
}

TEST_P(PathInfoServiceSuite, PuttingAgainReplaces) {
  nix::PathInfo info = full();
  put(info);
  info.signatures.clear();
  info.nar_size = 99;
  put(info);
  EXPECT_EQ(get(info.store_path), info);
  settle();
  EXPECT_EQ(get(info.store_path), info);
  EXPECT_EQ(list().size(), 1u);
}

TEST_P(PathInfoServiceSuite, TheObjectsPutBeforeLastWithTheRecord) {
  Node root = put_complicated(store_->services());
  Digest blob = put_blob(store_->services(), noise(300'000, 1));
  put(path_info(store_path(1, "tree"), root));
  settle();
  EXPECT_NE(must(store_->services().directories->get(ctx_, directory_complicated().digest())),
            nullptr);
  EXPECT_NE(must(store_->services().directories->get(ctx_, directory_with_keep().digest())),
            nullptr);
  EXPECT_TRUE(must(store_->services().blobs->has(ctx_, blob)));
}

TEST_P(PathInfoServiceSuite, ListGoesInTheOrderOfDigests) {
  std::vector<nix::PathInfo> expected;
  for (uint64_t seed = 0; seed < 100; ++seed) expected.push_back(simple(seed));
  for (const nix::PathInfo& info : expected) put(info);
  settle();
  // The order of digests is that of their texts.
  std::ranges::sort(expected, {}, [](const auto& info) { return info.store_path.base_name(); });
  EXPECT_TRUE(list() == expected);
}

TEST_P(PathInfoServiceSuite, ListPassesOnTheVisitorsErrorAndStops) {
  for (uint64_t seed = 0; seed < 10; ++seed) put(simple(seed));
  int visited = 0;
  auto result = path_infos().list(
      ctx_, [&](const nix::StorePathDigest&, const Result<nix::PathInfo>&) -> Result<void> {
        if (++visited == 3) return fail(ErrorKind::kDenied, "enough");
        return {};
      });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kDenied);
  EXPECT_EQ(result.error().message(), "enough");
  EXPECT_EQ(visited, 3);
}

TEST_P(PathInfoServiceSuite, AVisitorMayUseTheService) {
  for (uint64_t seed = 0; seed < 10; ++seed) put(simple(seed));
  settle();
  int found = 0;
  must(path_infos().list(
      ctx_, [&](const nix::StorePathDigest& digest, const Result<nix::PathInfo>&) -> Result<void> {
        if (CASTORE_TRY(path_infos().get(ctx_, digest))) ++found;
        return {};
      }));
  EXPECT_EQ(found, 10);
}

TEST_P(PathInfoServiceSuite, ManyThreadsMayPutAndGetAtOnce) {
  constexpr uint64_t kCount = 40;
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (uint64_t thread = 0; thread < 4; ++thread)
      threads.emplace_back([&, thread] {
        for (uint64_t step = 0; step < kCount; ++step) {
          nix::PathInfo info = simple((step * (2 * thread + 1) + thread * 13) % kCount);
          put(info);
          if (get(info.store_path) != info) ++wrong;
        }
      });
  }
  EXPECT_EQ(wrong, 0);
  settle();
  EXPECT_EQ(list().size(), kCount);
}

}  // namespace castore::store::testing
