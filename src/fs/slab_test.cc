// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/slab.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace castore::fs {
namespace {

template <typename T>
struct Numbered {
  T value{};
  uint32_t generation = 0;
};
using Number = Numbered<uint64_t>;

TEST(Slab, KeepsEachValueUnderItsSlot) {
  Slab<Numbered<std::unique_ptr<int>>> slab;
  std::vector<uint32_t> slots;
  for (int i = 0; i < 5000; ++i) slots.push_back(slab.add({std::make_unique<int>(i)}));
  for (int i = 0; i < 5000; i += 2) slab.remove(slots[static_cast<size_t>(i)]);
  for (int i = 0; i < 5000; i += 2)
    slots[static_cast<size_t>(i)] = slab.add({std::make_unique<int>(-i)});
  for (int i = 0; i < 5000; ++i)
    EXPECT_EQ(*slab[slots[static_cast<size_t>(i)]].value, i % 2 == 0 ? -i : i);
}

TEST(Slab, DestroysAValueWhenItIsRemovedAndTheOthersAtItsOwnEnd) {
  auto value = std::make_shared<int>(1);
  {
    Slab<Numbered<std::shared_ptr<int>>> slab;
    uint32_t first = slab.add({value});
    slab.add({value});
    EXPECT_EQ(value.use_count(), 3);
    slab.remove(first);
    EXPECT_EQ(value.use_count(), 2);
  }
  EXPECT_EQ(value.use_count(), 1);
}

TEST(Slab, GivesEmptyBlocksBack) {
  Slab<Numbered<std::array<uint64_t, 7>>> slab;
  std::vector<uint32_t> slots;
  for (int i = 0; i < 20'000; ++i) slots.push_back(slab.add({}));
  size_t full = slab.bytes();
  EXPECT_LE(full, 20'000u * 64 * 12 / 10);
  // One value in the last block stays behind.
  for (size_t i = 0; i + 1 < slots.size(); ++i) slab.remove(slots[i]);
  EXPECT_LT(slab.bytes(), full / 4);
  slab.remove(slots.back());
  EXPECT_LT(slab.bytes(), size_t{4096});
}

TEST(Slab, FillsLowBlocksFirst) {
  Slab<Number> slab;
  std::vector<uint32_t> slots;
  for (uint64_t i = 0; i < 9000; ++i) slots.push_back(slab.add({i}));
  slab.remove(slots[8000]);
  slab.remove(slots[10]);
  EXPECT_EQ(slab.add({1}), slots[10]);
  EXPECT_EQ(slab.add({2}), slots[8000]);
}

TEST(Slab, HoldsAValueUnderItsOwnGenerationOnly) {
  Slab<Number> slab;
  uint32_t slot = slab.add({});
  uint64_t old = slab[slot].generation;
  EXPECT_TRUE(slab.holds(slot, old));
  EXPECT_FALSE(slab.holds(slot + 1, old));
  EXPECT_FALSE(slab.holds(UINT32_MAX, old));
  EXPECT_FALSE(slab.holds(slot, old + (uint64_t{1} << 32)));
  slab.remove(slot);
  EXPECT_FALSE(slab.holds(slot, old));
  ASSERT_EQ(slab.add({}), slot);
  EXPECT_FALSE(slab.holds(slot, old));
  EXPECT_TRUE(slab.holds(slot, slab[slot].generation));
}

TEST(Slab, NeverNumbersTwoValuesOfASlotAlikeThoughItsBlockWasGone) {
  Slab<Number> slab;
  std::set<std::pair<uint32_t, uint32_t>> seen;
  for (int round = 0; round < 4; ++round) {
    std::vector<uint32_t> slots;
    for (int i = 0; i < 10'000; ++i) {
      slots.push_back(slab.add({}));
      uint32_t generation = slab[slots.back()].generation;
      EXPECT_GT(generation, 0u);
      EXPECT_TRUE(seen.emplace(slots.back(), generation).second);
    }
    for (uint32_t slot : slots) slab.remove(slot);
    EXPECT_LT(slab.bytes(), size_t{4096});
  }
}

// With numbers that run out after 3,000 values a block, of 2,048 at a time.
TEST(Slab, LeavesABlockAloneWhichHasGivenItsLastGeneration) {
  Slab<Number, UINT32_MAX, 3000> slab;
  std::set<std::pair<uint32_t, uint32_t>> seen;
  uint32_t resident = slab.add({});
  const uint32_t resident_generation = slab[resident].generation;
  for (int i = 0; i < 20'000; ++i) {
    uint32_t slot = slab.add({});
    EXPECT_TRUE(seen.emplace(slot, slab[slot].generation).second);
    EXPECT_LE(slab[slot].generation, 3000u);
    slab.remove(slot);
  }
  EXPECT_TRUE(slab.holds(resident, resident_generation));
  slab.remove(resident);
  // Nothing stays of worn out blocks, not even of the first.
  EXPECT_LT(slab.bytes(), size_t{4096});
}

TEST(Slab, HasNoMoreSlotsThanItMay) {
  Slab<Number, 4096> slab;
  for (uint32_t i = 0; i < 4096; ++i) EXPECT_LT(slab.add({}), 4096u);
  EXPECT_THROW(slab.add({}), std::bad_alloc);
  slab.remove(17);
  EXPECT_EQ(slab.add({}), 17u);
}

}  // namespace
}  // namespace castore::fs
