// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/slot_index.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace castore::fs {
namespace {

uint64_t mixed(uint32_t slot) {
  return (slot + 1) * 0x9e3779b97f4a7c15u >> 7;
}

bool holds(const SlotIndex& index, uint64_t hash, uint32_t slot) {
  return index.find(hash, [&](uint32_t s) { return s == slot; }) == slot;
}

TEST(SlotIndex, FindsNothingWhileEmpty) {
  SlotIndex index;
  EXPECT_FALSE(index.find(7, [](uint32_t) { return true; }).has_value());
}

// Few different hashes make long runs, beyond what a cell can say of its distance, where removing
// goes wrong first.
class SlotIndexWithHashes : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SlotIndexWithHashes, AgreesWithASetThroughAnyInsertionsAndRemovals) {
  auto hash_of = [](uint32_t slot) { return mixed(slot) % GetParam(); };
  std::mt19937 random(20240611);
  SlotIndex index;
  std::set<uint32_t> model;
  for (int round = 0; round < 6000; ++round) {
    // Grows for a while, then shrinks, and again.
    bool growing = round / 1000 % 2 == 0;
    auto slot = static_cast<uint32_t>(random() % 500);
    bool add = random() % 10 < (growing ? 8 : 3);
    if (add && model.insert(slot).second) index.insert(hash_of(slot), slot, hash_of);
    if (!add && model.erase(slot) == 1) index.erase(hash_of(slot), slot, hash_of);
    ASSERT_EQ(index.count(), model.size());
    if (round % 50 != 0) continue;
    for (uint32_t s = 0; s < 500; ++s)
      ASSERT_EQ(holds(index, hash_of(s), s), model.contains(s)) << round << " " << s;
  }
}

INSTANTIATE_TEST_SUITE_P(Spread, SlotIndexWithHashes, ::testing::Values(1, 3, 16, 1'000'000'007));

TEST(SlotIndex, TakesTheHighestSlot) {
  SlotIndex index;
  for (uint32_t slot : {0u, SlotIndex::kSlotsMax - 1})
    index.insert(5, slot, [](uint32_t) { return 5; });
  EXPECT_TRUE(holds(index, 5, 0));
  EXPECT_TRUE(holds(index, 5, SlotIndex::kSlotsMax - 1));
}

// The distance in a cell is what spares a look at each of a long run.
TEST(SlotIndex, LooksAtFewThingsToFindOne) {
  SlotIndex index;
  const uint32_t count = 100'000;
  for (uint32_t slot = 0; slot < count; ++slot) index.insert(mixed(slot), slot, mixed);
  uint64_t looks = 0;
  for (uint32_t slot = count; slot < 2 * count; ++slot)
    EXPECT_FALSE(index.find(mixed(slot), [&](uint32_t) { return ++looks == 0; }).has_value());
  EXPECT_LT(looks, uint64_t{count});
}

TEST(SlotIndex, TakesFewBytesAndGivesThemBack) {
  SlotIndex index;
  const uint32_t count = 100'000;
  for (uint32_t slot = 0; slot < count; ++slot) {
    index.insert(mixed(slot), slot, mixed);
    ASSERT_LE(index.bytes(), 7u * slot + 8192);
  }
  for (uint32_t slot = 0; slot < count; ++slot) {
    index.erase(mixed(slot), slot, mixed);
    ASSERT_LE(index.bytes(), 17u * (count - slot) + 8192);
  }
  EXPECT_EQ(index.count(), 0u);
  EXPECT_LE(index.bytes(), 4096u);
}

}  // namespace
}  // namespace castore::fs
