// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/slab.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

namespace castore::fs {
namespace {

TEST(Slab, KeepsEachValueUnderItsSlot) {
  Slab<std::unique_ptr<int>> slab;
  std::vector<uint32_t> slots;
  for (int i = 0; i < 3000; ++i) slots.push_back(slab.add(std::make_unique<int>(i)));
  for (int i = 0; i < 3000; i += 2) slab.remove(slots[static_cast<size_t>(i)]);
  for (int i = 0; i < 3000; i += 2)
    slots[static_cast<size_t>(i)] = slab.add(std::make_unique<int>(-i));
  for (int i = 0; i < 3000; ++i)
    EXPECT_EQ(*slab[slots[static_cast<size_t>(i)]], i % 2 == 0 ? -i : i);
}

TEST(Slab, DestroysAValueWhenItIsRemovedAndTheOthersAtItsOwnEnd) {
  auto value = std::make_shared<int>(1);
  {
    Slab<std::shared_ptr<int>> slab;
    uint32_t first = slab.add(value);
    slab.add(value);
    EXPECT_EQ(value.use_count(), 3);
    slab.remove(first);
    EXPECT_EQ(value.use_count(), 2);
  }
  EXPECT_EQ(value.use_count(), 1);
}

TEST(Slab, GivesEmptyBlocksBack) {
  Slab<std::array<uint64_t, 8>> slab;
  std::vector<uint32_t> slots;
  for (int i = 0; i < 10'000; ++i) slots.push_back(slab.add({}));
  size_t full = slab.bytes();
  EXPECT_LE(full, 10'000u * 64 * 12 / 10);
  // One value in the last block stays behind.
  for (size_t i = 0; i + 1 < slots.size(); ++i) slab.remove(slots[i]);
  EXPECT_LT(slab.bytes(), full / 4);
  slab.remove(slots.back());
  EXPECT_LT(slab.bytes(), full / 8);
}

TEST(Slab, FillsLowBlocksFirst) {
  Slab<uint64_t> slab;
  std::vector<uint32_t> slots;
  for (uint64_t i = 0; i < 5000; ++i) slots.push_back(slab.add(i));
  slab.remove(slots[4000]);
  slab.remove(slots[10]);
  EXPECT_EQ(slab.add(1), slots[10]);
  EXPECT_EQ(slab.add(2), slots[4000]);
}

}  // namespace
}  // namespace castore::fs
