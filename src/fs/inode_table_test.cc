// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/inode_table.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <set>
#include <vector>

#include "digest/blake3.h"

namespace castore::fs {
namespace {

Digest digest_number(uint64_t n) {
  return blake3(std::to_string(n));
}

TEST(InodeTable, GivesOneFileNodeForEqualContent) {
  InodeTable table;
  KnownNode first = table.acquire_file(digest_number(1), 10, false);
  KnownNode second = table.acquire_file(digest_number(1), 10, false);
  EXPECT_EQ(first.id, second.id);
  EXPECT_EQ(table.count(), 1u);
}

TEST(InodeTable, KeepsFilesApartByEachPartOfTheirContent) {
  InodeTable table;
  std::set<NodeId> ids = {
      table.acquire_file(digest_number(1), 10, false).id,
      table.acquire_file(digest_number(2), 10, false).id,
      table.acquire_file(digest_number(1), 10, true).id,
      table.acquire_file(digest_number(1), 11, false).id,
      table.acquire_symlink("1").id,
  };
  EXPECT_EQ(ids.size(), 5u);
}

TEST(InodeTable, GivesOneDirectoryNodeAPlace) {
  InodeTable table;
  KnownNode here = table.acquire_directory(kRootNode, "here", digest_number(1), 3);
  KnownNode there = table.acquire_directory(kRootNode, "there", digest_number(1), 3);
  KnownNode inside = table.acquire_directory(here.id, "here", digest_number(1), 3);
  EXPECT_EQ(std::set({here.id, there.id, inside.id}).size(), 3u);
  EXPECT_EQ(table.acquire_directory(here.id, "here", digest_number(1), 3).id, inside.id);
  EXPECT_EQ(table.acquire_place(kRootNode, "there")->id, there.id);
  EXPECT_FALSE(table.acquire_place(kRootNode, "elsewhere").has_value());
}

TEST(InodeTable, ADirectoryKeepsWhatItWasWhileItIsHeld) {
  InodeTable table;
  KnownNode old = table.acquire_directory(kRootNode, "name", digest_number(1), 3);
  KnownNode again = table.acquire_directory(kRootNode, "name", digest_number(2), 4);
  EXPECT_EQ(again.id, old.id);
  EXPECT_EQ(again.content, old.content);
}

TEST(InodeTable, KnowsWhatANodeIs) {
  InodeTable table;
  KnownNode directory = table.acquire_directory(kRootNode, "usr", digest_number(1), 3);
  KnownNode bin = table.acquire_directory(directory.id, "bin", digest_number(2), 1);
  KnownNode file = table.acquire_file(digest_number(3), 12, true);
  KnownNode symlink = table.acquire_symlink("../target");
  EXPECT_EQ(*table.find(directory.id),
            (NodeContent{FileType::kDirectory, false, 3, digest_number(1)}));
  EXPECT_EQ(*table.find(file.id), (NodeContent{FileType::kRegular, true, 12, digest_number(3)}));
  EXPECT_EQ(table.find(symlink.id)->size, 9u);
  EXPECT_EQ(table.symlink_target(symlink.id), "../target");
  EXPECT_EQ(table.symlink_target(file.id), std::nullopt);
  EXPECT_EQ(table.place_of(bin.id)->name, "bin");
  EXPECT_EQ(table.place_of(bin.id)->parent, directory.id);
  EXPECT_FALSE(table.place_of(file.id).has_value());
}

TEST(InodeTable, ANodeGoesWithItsLastReference) {
  InodeTable table;
  NodeId id = table.acquire_file(digest_number(1), 1, false).id;
  table.acquire_file(digest_number(1), 1, false);
  ASSERT_TRUE(table.acquire_node(id).has_value());
  EXPECT_FALSE(table.release(id, 2));
  EXPECT_TRUE(table.find(id).has_value());
  EXPECT_TRUE(table.release(id, 1));
  EXPECT_FALSE(table.find(id).has_value());
  EXPECT_FALSE(table.acquire_node(id).has_value());
  EXPECT_EQ(table.count(), 0u);
}

TEST(InodeTable, TakesBackNoMoreReferencesThanThereAre) {
  InodeTable table;
  NodeId id = table.acquire_symlink("x").id;
  EXPECT_TRUE(table.release(id, UINT64_MAX));
  EXPECT_FALSE(table.release(id, 1));
  EXPECT_FALSE(table.release(12345678, 1));
}

TEST(InodeTable, NeverGivesAnIdTwice) {
  InodeTable table;
  std::set<NodeId> ids;
  for (int round = 0; round < 3; ++round)
    for (uint64_t i = 0; i < 500; ++i) {
      NodeId id = table.acquire_file(digest_number(i), 1, false).id;
      EXPECT_TRUE(ids.insert(id).second);
      EXPECT_GT(id, kRootNode);
      table.release(id, 1);
    }
}

TEST(InodeTable, AForgottenParentLeavesItsChildrenAlone) {
  InodeTable table;
  KnownNode parent = table.acquire_directory(kRootNode, "p", digest_number(1), 2);
  KnownNode child = table.acquire_directory(parent.id, "c", digest_number(2), 1);
  EXPECT_TRUE(table.release(parent.id, 1));
  EXPECT_TRUE(table.find(child.id).has_value());
  // The parent looked up anew is another node, and so is what is in it.
  KnownNode parent_again = table.acquire_directory(kRootNode, "p", digest_number(1), 2);
  EXPECT_NE(parent_again.id, parent.id);
  EXPECT_NE(table.acquire_directory(parent_again.id, "c", digest_number(2), 1).id, child.id);
  EXPECT_TRUE(table.release(child.id, 1));
}

TEST(InodeTable, FindsEachOfManyNodesAgainWhileOthersComeAndGo) {
  InodeTable table;
  std::vector<NodeId> files;
  std::vector<NodeId> folders;
  for (uint64_t i = 0; i < 20'000; ++i) {
    files.push_back(table.acquire_file(digest_number(i), i, i % 2 == 0).id);
    folders.push_back(
        table.acquire_directory(kRootNode, std::to_string(i), digest_number(i), i).id);
  }
  for (size_t i = 0; i < 20'000; i += 3) {
    EXPECT_TRUE(table.release(files[i], 1));
    EXPECT_TRUE(table.release(folders[i], 1));
  }
  for (size_t i = 0; i < 20'000; ++i) {
    bool is_there = i % 3 != 0;
    ASSERT_EQ(table.find(files[i]).has_value(), is_there);
    if (!is_there) continue;
    ASSERT_EQ(table.acquire_file(digest_number(i), i, i % 2 == 0).id, files[i]);
    ASSERT_EQ(table.acquire_place(kRootNode, std::to_string(i))->id, folders[i]);
  }
}

// The digests of a tree are whatever its author wrote, who would like long searches.
TEST(InodeTable, DigestsWithMuchInCommonAreSpreadAllTheSame) {
  InodeTable table;
  for (uint64_t i = 0; i < 200'000; ++i) {
    std::array<std::byte, Digest::kBytes> bytes{};
    for (size_t k = 0; k < 4; ++k) bytes[28 + k] = static_cast<std::byte>(i >> (8 * k));
    table.acquire_file(Digest(bytes), 1, false);
  }
  EXPECT_EQ(table.count(), 200'000u);
}

size_t heap_in_use() {
  auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(InodeTable, TakesLessThanTwoHundredBytesANodeAndGivesThemBack) {
  constexpr uint64_t kNodes = 200'000;
  constexpr uint64_t kFolders = kNodes / 10;
  InodeTable table;
  const size_t heap_idle = heap_in_use();
  std::vector<NodeId> ids;
  ids.reserve(kNodes);
  const size_t heap_before = heap_in_use();
  for (uint64_t i = 0; i < kNodes; ++i) {
    std::string name = "folder-number-" + std::to_string(i);
    ids.push_back(i < kFolders
                      ? table.acquire_directory(kRootNode + i / 100, name, digest_number(i), 1).id
                      : table.acquire_file(digest_number(i), i, false).id);
  }
  // The indexes are heap too, and counted twice here.
  const size_t texts = heap_in_use() - heap_before;
  RecordProperty("table_bytes_per_node", static_cast<int>(table.bytes() / kNodes));
  EXPECT_LT(table.bytes(), 100 * kNodes);
  EXPECT_LT(table.bytes() + texts, 200 * kNodes);
  for (NodeId id : ids) table.release(id, 1);
  EXPECT_EQ(table.count(), 0u);
  EXPECT_LT(table.bytes(), size_t{2} << 20);
  std::vector<NodeId>().swap(ids);
  EXPECT_LT(heap_in_use(), heap_idle + 64 * 1024);
}

}  // namespace
}  // namespace castore::fs
