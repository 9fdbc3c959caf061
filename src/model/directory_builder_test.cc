// SPDX-License-Identifier: MIT OR Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "digest/blake3.h"
#include "model/directory.h"
#include "model/limits.h"

namespace castore {
namespace {

using Code = DirectoryError::Code;

Node symlink(std::string target) {
  return SymlinkNode{*SymlinkTarget::parse(std::move(target))};
}

TEST(DirectoryBuilderTest, SortsWhatComesInAnyOrder) {
  DirectoryBuilder builder;
  for (std::string_view name : {"z", "README", "bin", "a'", "a", "\xff"})
    ASSERT_TRUE(builder.add(name, FileNode{blake3(name), name.size(), false}));
  ASSERT_TRUE(builder.add("doc", DirectoryNode{blake3(""), 0}));
  ASSERT_TRUE(builder.add("link", symlink("a")));
  EXPECT_EQ(builder.entry_count(), 8u);
  auto directory = builder.build();
  ASSERT_TRUE(directory);
  std::vector<std::string> names;
  for (size_t i = 0; i < directory->entry_count(); ++i)
    names.emplace_back(directory->entry(i).name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"README", "a", "a'", "bin", "doc", "link", "z", "\xff"}));
}

TEST(DirectoryBuilderTest, RefusesInvalidNamesAtOnceAndGoesOn) {
  DirectoryBuilder builder;
  for (std::string_view name : {"", ".", "..", "a/b"}) {
    auto added = builder.add(name, FileNode{});
    ASSERT_FALSE(added) << name;
    EXPECT_EQ(added.error().kind(), ErrorKind::kInvalidArgument);
  }
  EXPECT_EQ(builder.entry_count(), 0u);
  ASSERT_TRUE(builder.add("fine", FileNode{}));
  EXPECT_EQ(builder.build()->entry_count(), 1u);
}

TEST(DirectoryBuilderTest, RefusesANameThatIsThereTwice) {
  DirectoryBuilder builder;
  ASSERT_TRUE(builder.add("a", FileNode{}));
  ASSERT_TRUE(builder.add("b", FileNode{}));
  ASSERT_TRUE(builder.add("a", symlink("b")));
  auto directory = builder.build();
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code(), Code::kDuplicateName);
  EXPECT_EQ(directory.error().message(), "a is a duplicate name");
}

TEST(DirectoryBuilderTest, RefusesSizesThatDoNotFit) {
  auto build = [](uint64_t first, uint64_t second) {
    DirectoryBuilder builder;
    EXPECT_TRUE(builder.add("foo", DirectoryNode{Digest(), first}));
    EXPECT_TRUE(builder.add("goo", DirectoryNode{Digest(), second}));
    return builder.build();
  };
  EXPECT_EQ(build(UINT64_MAX, UINT64_MAX).error().code(), Code::kSizeOverflow);
  EXPECT_EQ(build(UINT64_MAX / 2, UINT64_MAX / 2).error().code(), Code::kSizeOverflow);
  EXPECT_EQ(build(UINT64_MAX - 4, 1).error().code(), Code::kSizeOverflow);
  EXPECT_TRUE(build(UINT64_MAX - 4, 0));
}

TEST(DirectoryBuilderTest, IsEmptyAfterBuilding) {
  DirectoryBuilder builder;
  ASSERT_TRUE(builder.add("a", FileNode{}));
  ASSERT_TRUE(builder.add("a", FileNode{}));
  EXPECT_FALSE(builder.build());
  EXPECT_EQ(builder.entry_count(), 0u);
  EXPECT_EQ(builder.build(), Directory());
  ASSERT_TRUE(builder.add("a", DirectoryNode{Digest(), 5}));
  EXPECT_EQ(builder.build()->size(SizeConvention::kDocumented), 6u);
  EXPECT_EQ(builder.build()->size(SizeConvention::kDocumented), 0u);
}

TEST(DirectoryBuilderTest, RefusesMoreEntriesThanTheLimit) {
  DirectoryBuilder builder;
  Node node = symlink("t");
  for (size_t i = 0; i < kDirectoryEntriesMax; ++i) ASSERT_TRUE(builder.add("a", node));
  auto added = builder.add("b", node);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind(), ErrorKind::kExhausted);
  EXPECT_EQ(builder.entry_count(), kDirectoryEntriesMax);
}

TEST(DirectoryBuilderTest, RefusesMoreBytesThanTheLimit) {
  DirectoryBuilder builder;
  Node node = symlink(std::string(kSymlinkTargetBytesMax, 't'));
  size_t taken = 0;
  while (builder.add(fmt::format("{:07}", taken), node)) ++taken;
  EXPECT_EQ(taken, kDirectoryBytesMax / (4095 + 7 + 3 + 3 + 2));
  auto directory = builder.build();
  ASSERT_TRUE(directory);
  EXPECT_LE(directory->encoded().size(), kDirectoryBytesMax);
}

// Whatever is built can be decoded, is equal afterwards, and holds what was put in.
TEST(DirectoryBuilderTest, RandomDirectoriesSurviveARoundTrip) {
  std::mt19937_64 random(3);
  auto random_name = [&] {
    std::string name(1 + random() % (random() % 8 == 0 ? 255 : 6), '\0');
    for (char& c : name) {
      do c = static_cast<char>(random() & 0xff);
      while (c == '\0' || c == '/');
    }
    return name == "." || name == ".." ? std::string("dots") : name;
  };
  auto random_node = [&]() -> Node {
    Digest digest = blake3(std::to_string(random()));
    uint64_t size = random() >> random() % 64;
    switch (random() % 3) {
      case 0:
        return DirectoryNode{digest, size >> 12};
      case 1:
        return FileNode{digest, size, random() % 2 == 0};
      default:
        return symlink(std::string(1 + random() % 300, 'x'));
    }
  };
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, Node> entries;
    for (uint64_t n = random() % 40; n > 0; --n) entries.emplace(random_name(), random_node());
    std::vector<std::pair<std::string, Node>> shuffled(entries.begin(), entries.end());
    std::ranges::shuffle(shuffled, random);
    DirectoryBuilder builder;
    for (const auto& [name, node] : shuffled) ASSERT_TRUE(builder.add(name, node));
    auto built = builder.build();
    ASSERT_TRUE(built) << built.error().message();
    auto decoded = Directory::decode(built->encoded());
    ASSERT_TRUE(decoded) << decoded.error().message();
    EXPECT_EQ(*decoded, *built);
    EXPECT_EQ(decoded->digest(), built->digest());
    for (auto convention : {SizeConvention::kDocumented, SizeConvention::kDoubled})
      EXPECT_EQ(decoded->size(convention), built->size(convention));
    ASSERT_EQ(decoded->entry_count(), entries.size());
    size_t i = 0;
    for (const auto& [name, node] : entries) {
      EXPECT_EQ(decoded->entry(i).name, name);
      EXPECT_EQ(decoded->entry(i).to_node(), node);
      EXPECT_EQ(built->entry(i).to_node(), node);
      EXPECT_EQ(decoded->lookup(name)->to_node(), node);
      EXPECT_EQ(decoded->upper_bound(name), ++i);
    }
  }
}

}  // namespace
}  // namespace castore
