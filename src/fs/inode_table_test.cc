// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/inode_table.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>
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

std::vector<NodeId> acquire_many(InodeTable& table, uint64_t count) {
  std::vector<NodeId> ids;
  for (uint64_t i = 0; i < count; ++i)
    ids.push_back(
        i % 4 == 0 ? table.acquire_directory(kRootNode, std::to_string(i), digest_number(i), 1).id
                   : table.acquire_file(digest_number(i), 1, false).id);
  return ids;
}

TEST(InodeTable, NeverGivesAnIdTwiceThoughAllMemoryWasGivenBackBetween) {
  InodeTable table;
  const size_t bytes_idle = table.bytes();
  std::unordered_set<NodeId> ids;
  for (int round = 0; round < 3; ++round) {
    std::vector<NodeId> now = acquire_many(table, 80'000);
    ids.insert(now.begin(), now.end());
    EXPECT_EQ(ids.size(), 80'000u * static_cast<unsigned>(round + 1));
    EXPECT_EQ(table.count(), 80'000u);
    for (NodeId id : now) EXPECT_TRUE(table.release(id, 1));
    // What stays is a page or two of each index, and what remembers the ids that were given.
    EXPECT_LT(table.bytes(), bytes_idle + size_t{256} * 1024);
  }
  for (NodeId id : ids) {
    ASSERT_FALSE(table.find(id).has_value());
    ASSERT_GT(id, kRootNode);
  }
}

// As a hostile guest would send it: the record is there again, of another node.
TEST(InodeTable, DoesNotKnowAnIdWhoseNodeIsGoneThoughItsRecordIsUsedAgain) {
  InodeTable table;
  std::vector<NodeId> old = acquire_many(table, 2000);
  for (NodeId id : old) table.release(id, 1);
  std::vector<NodeId> now = acquire_many(table, 2000);
  for (NodeId id : old) {
    ASSERT_FALSE(table.find(id).has_value());
    ASSERT_FALSE(table.acquire_node(id).has_value());
    ASSERT_FALSE(table.place_of(id).has_value());
    ASSERT_FALSE(table.release(id, UINT64_MAX));
  }
  EXPECT_EQ(table.count(), 2000u);
  for (NodeId id : now) ASSERT_TRUE(table.release(id, 1));
}

TEST(InodeTable, DoesNotKnowAnIdThatDiffersInAnyBit) {
  // In a table each, as the ids of two may differ in one bit.
  InodeTable files;
  InodeTable directories;
  const NodeId file = files.acquire_file(digest_number(1), 1, false).id;
  const NodeId directory = directories.acquire_directory(kRootNode, "d", digest_number(2), 1).id;
  for (int bit = 0; bit < 64; ++bit) {
    EXPECT_FALSE(files.find(file ^ uint64_t{1} << bit).has_value()) << bit;
    EXPECT_FALSE(directories.find(directory ^ uint64_t{1} << bit).has_value()) << bit;
  }
  for (NodeId id : {NodeId{0}, kRootNode, UINT64_MAX})
    EXPECT_FALSE(files.find(id).has_value()) << id;
}

TEST(InodeTable, CountsReferencesOneByOne) {
  InodeTable table;
  const uint64_t count = 200'000;  // more than a record holds
  NodeId id = table.acquire_file(digest_number(1), 1, false).id;
  for (uint64_t i = 1; i < count; ++i) table.acquire_file(digest_number(1), 1, false);
  for (uint64_t i = 1; i < count; ++i) ASSERT_FALSE(table.release(id, 1)) << i;
  EXPECT_TRUE(table.release(id, 1));
}

TEST(InodeTable, CountsReferencesFarBeyondThirtyTwoBits) {
  for (uint64_t count : {(uint64_t{1} << 15) - 1, uint64_t{1} << 15, (uint64_t{1} << 32) - 1,
                         uint64_t{1} << 32, (uint64_t{1} << 32) + 1, uint64_t{1} << 56}) {
    for (uint64_t last : {uint64_t{1}, uint64_t{2}, uint64_t{40'000}, count / 3, count - 1}) {
      InodeTable table;
      NodeId id = table.acquire_symlink("target").id;
      ASSERT_TRUE(table.acquire_node(id, count - 1).has_value());
      if (last >= count) continue;
      ASSERT_FALSE(table.release(id, count - last)) << count << " " << last;
      ASSERT_TRUE(table.acquire_node(id, 1).has_value());
      ASSERT_FALSE(table.release(id, last)) << count << " " << last;
      ASSERT_TRUE(table.release(id, 1)) << count << " " << last;
    }
  }
}

TEST(InodeTable, AReferenceCountDoesNotOutliveItsNode) {
  InodeTable table;
  NodeId id = table.acquire_symlink("a").id;
  table.acquire_node(id, uint64_t{1} << 40);
  EXPECT_TRUE(table.release(id, UINT64_MAX));
  EXPECT_TRUE(table.release(table.acquire_symlink("a").id, 1));
}

TEST(InodeTable, KeepsEveryBitOfASize) {
  InodeTable table;
  std::map<NodeId, uint64_t> sizes;
  for (int bit = 0; bit < 64; ++bit)
    for (uint64_t size : {uint64_t{1} << bit, (uint64_t{1} << bit) - 1, ~(uint64_t{1} << bit)}) {
      sizes.emplace(table.acquire_file(digest_number(1), size, false).id, size);
      sizes.emplace(
          table.acquire_directory(kRootNode, std::to_string(size), digest_number(1), size).id,
          size);
    }
  for (auto [id, size] : sizes) EXPECT_EQ(table.find(id)->size, size);
  for (auto [id, size] : sizes) EXPECT_TRUE(table.release(id, UINT64_MAX));
  // A size does not outlive its node either.
  EXPECT_EQ(table.find(table.acquire_file(digest_number(1), UINT64_MAX / 2, false).id)->size,
            UINT64_MAX / 2);
  EXPECT_EQ(table.find(table.acquire_file(digest_number(1), 5, false).id)->size, 5u);
}

TEST(InodeTable, KeepsNamesAndTargetsOfEveryLength) {
  InodeTable table;
  std::map<NodeId, std::string> texts;
  for (size_t length = 1; length < 256; ++length) {
    std::string text(length, static_cast<char>(length));
    texts.emplace(table.acquire_directory(kRootNode, text, digest_number(1), 1).id, text);
    texts.emplace(table.acquire_symlink(text).id, text);
  }
  texts.emplace(table.acquire_symlink(std::string(4095, 't')).id, std::string(4095, 't'));
  for (const auto& [id, text] : texts) {
    auto place = table.place_of(id);
    EXPECT_EQ(place ? place->name : table.symlink_target(id), text);
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

// Shares as in a large tree: one node in twenty is a directory.
TEST(InodeTable, KeepsFiveMillionNodesInLessThan250MiB) {
  constexpr uint64_t kNodes = 611'000;
  InodeTable table;
  const size_t heap_idle = heap_in_use();
  std::vector<NodeId> ids;
  ids.reserve(kNodes);
  const size_t heap_before = heap_in_use();
  std::array<std::byte, Digest::kBytes> bytes{};
  for (uint64_t i = 0; i < kNodes; ++i) {
    std::memcpy(bytes.data(), &i, sizeof i);
    ids.push_back(i % 20 == 0 ? table
                                    .acquire_directory(kRootNode + i / 1000,
                                                       "dir" + std::to_string(i), Digest(bytes), 1)
                                    .id
                              : table.acquire_file(Digest(bytes), i, false).id);
  }
  EXPECT_LT(table.bytes() * 5'000'000 / kNodes, size_t{250} << 20);
  // Short names are nothing on top: what is on the heap lists blocks, and is in bytes() too.
  EXPECT_LT(heap_in_use() - heap_before, kNodes / 2);
  for (NodeId id : ids) table.release(id, 1);
  EXPECT_EQ(table.count(), 0u);
  EXPECT_LT(table.bytes(), size_t{256} * 1024);
  std::vector<NodeId>().swap(ids);
  EXPECT_LT(heap_in_use(), heap_idle + 64 * 1024);
}

TEST(InodeTable, ALongNameTakesItsLengthOnTopAndGivesItBack) {
  InodeTable table;
  const size_t heap_before = heap_in_use();
  std::vector<NodeId> ids;
  ids.reserve(1000);
  for (uint64_t i = 0; i < 1000; ++i)
    ids.push_back(table
                      .acquire_directory(kRootNode, std::to_string(i) + std::string(200, 'n'),
                                         digest_number(i), 1)
                      .id);
  EXPECT_LT(heap_in_use() - heap_before, 1000u * 250 + 64 * 1024);
  for (NodeId id : ids) table.release(id, 1);
  std::vector<NodeId>().swap(ids);
  EXPECT_LT(heap_in_use(), heap_before + 16 * 1024);
}

// Each thread holds what it acquired, so each finds its nodes there, whatever the others let go.
TEST(InodeTable, ServesManyThreadsAtOnce) {
  InodeTable table;
  std::atomic<uint64_t> wrong = 0;
  auto work = [&](uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<KnownNode> held;
    for (int i = 0; i < 20'000; ++i) {
      uint64_t n = random() % 300;
      switch (random() % 5) {
        case 0:
          held.push_back(table.acquire_file(digest_number(n), n, false));
          break;
        case 1:
          held.push_back(table.acquire_symlink(std::to_string(n)));
          break;
        case 2:
          held.push_back(
              table.acquire_directory(kRootNode, std::to_string(n), digest_number(n), n));
          break;
        default:
          if (held.empty()) break;
          std::swap(held[random() % held.size()], held.back());
          if (table.find(held.back().id) != held.back().content) ++wrong;
          table.release(held.back().id, 1);
          held.pop_back();
      }
    }
    for (const KnownNode& node : held) {
      if (table.find(node.id) != node.content) ++wrong;
      table.release(node.id, 1);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (uint64_t seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(table.count(), 0u);
}

}  // namespace
}  // namespace castore::fs
