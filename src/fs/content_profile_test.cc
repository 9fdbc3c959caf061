// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/content_profile.h"

#include <gtest/gtest.h>

#include "backends/memory/memory_services.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"

namespace castore::fs {
namespace {

using store::testing::must;

// A folder of `count` files that claim `size` bytes each.
Directory folder_of(size_t count, uint64_t size) {
  DirectoryBuilder builder;
  for (size_t i = 0; i < count; ++i)
    must(builder.add(std::to_string(i), FileNode{store::testing::unknown_digest(), size, false}));
  return must(builder.build());
}

class ContentProfileTest : public ::testing::Test {
 protected:
  ContentProfile profile(const Directory& top) {
    must(services_.directories->put(Context(), top));
    return profile_content(Context(), *services_.directories, std::vector{node_of(top)});
  }
  static Node node_of(const Directory& directory) {
    return DirectoryNode{directory.digest(), directory.entry_count()};
  }
  Directory with_below(const Directory& below) {
    must(services_.directories->put(Context(), below));
    DirectoryBuilder builder;
    must(builder.add("below", DirectoryNode{below.digest(), below.entry_count()}));
    return must(builder.build());
  }
  store::Services services_ = backends::memory_services();
};

TEST_F(ContentProfileTest, LargeFilesAreSoOnAverage) {
  EXPECT_TRUE(profile(folder_of(5, 1 << 30)).few_large_files());
  EXPECT_FALSE(profile(folder_of(5, 10'000)).few_large_files());
  EXPECT_FALSE(profile(folder_of(0, 0)).few_large_files());
}

TEST_F(ContentProfileTest, FoldersBelowCount) {
  ContentProfile found = profile(with_below(folder_of(5, 1 << 30)));
  EXPECT_EQ(found.files, 5u);
  EXPECT_TRUE(found.few_large_files());
}

TEST_F(ContentProfileTest, AFolderThatIsMissingIsPassedOver) {
  DirectoryBuilder builder;
  must(builder.add("lost", DirectoryNode{store::testing::unknown_digest(), 1}));
  must(builder.add("file", FileNode{store::testing::unknown_digest(), 7, false}));
  EXPECT_EQ(profile(must(builder.build())).bytes, 7u);
}

TEST_F(ContentProfileTest, OnlyAPartOfWhatIsHugeIsLookedAt) {
  EXPECT_LT(profile(folder_of(50'000, 1)).files, 10'000u);
}

TEST_F(ContentProfileTest, WhatIsRegisteredCountsFilesAndFolders) {
  Directory top = folder_of(3, 1 << 30);
  must(services_.directories->put(Context(), top));
  auto add = [&](std::string_view path, const Node& node) {
    nix::PathInfo info{.store_path = must(nix::StorePath::parse(path)), .node = node};
    must(services_.path_infos->put(Context(), info));
  };
  add("00000000000000000000000000000000-folder", node_of(top));
  add("10000000000000000000000000000000-file",
      FileNode{store::testing::unknown_digest(), 1 << 30, false});
  ContentProfile found = profile_paths(Context(), *services_.path_infos, *services_.directories);
  EXPECT_EQ(found.files, 4u);
  EXPECT_TRUE(found.few_large_files());
}

TEST_F(ContentProfileTest, WithoutTimeNothingIsFound) {
  Directory top = folder_of(3, 1 << 30);
  must(services_.directories->put(Context(), top));
  Context late;
  late.deadline = std::chrono::steady_clock::now();
  std::vector<Node> tops{node_of(top)};
  EXPECT_EQ(profile_content(late, *services_.directories, tops).files, 0u);
}

}  // namespace
}  // namespace castore::fs
