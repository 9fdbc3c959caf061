// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "fs/mapped_array.h"

namespace castore::fs {

// Keeps values of one type by slot number, without a heap block for each. Slots are used again, so
// each value is numbered too: its member `uint32_t generation` is set to a number from 1 on that no
// other value in that slot had or will have. Slot and generation together name a value for good.
//
// Blocks of slots come from the system directly and go back to it when their last value is removed
// (but for a first one that saw few, lest lone values coming and going cost system calls). Low
// blocks are filled first, so that what stays behind after a crowd left is together. What outlives
// a block is the last generation that it gave, four bytes; a block that has given them all is not
// filled again.
//
//   Threads  one at a time.
//   Limits   `kSlotsMax` slots; std::bad_alloc beyond.
template <typename T, uint32_t kSlotsMax = UINT32_MAX, uint32_t kLastGeneration = UINT32_MAX>
class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (Block& block : blocks_)
      for (uint32_t i = 0; block.items && i < kItems; ++i)
        if (block.is_used(i)) std::destroy_at(&block.items[i]);
  }

  uint32_t add(T&& value) {
    while (with_room_.empty()) add_block();
    uint32_t b = *with_room_.begin();
    Block& block = blocks_[b];
    if (!block.items) block.items = MappedArray<T>(kItems);
    uint32_t i = block.first_free();
    std::construct_at(&block.items[i], std::move(value))->generation = ++generations_[b];
    block.used[i / 64] |= uint64_t{1} << (i % 64);
    block.touched = std::max(block.touched, i + 1);
    if (++block.used_count == kItems || is_worn_out(b)) with_room_.erase(b);
    return b * kItems + i;
  }

  void remove(uint32_t slot) {
    uint32_t b = slot / kItems;
    uint32_t i = slot % kItems;
    Block& block = blocks_[b];
    std::destroy_at(&block.items[i]);
    block.used[i / 64] &= ~(uint64_t{1} << (i % 64));
    if (block.used_count-- == kItems && !is_worn_out(b)) with_room_.insert(b);
    if (block.used_count == 0 && (b > 0 || block.touched > kFewItems || is_worn_out(b))) {
      block.items = {};
      block.touched = 0;
    }
    while (blocks_.size() > 1 && blocks_.back().used_count == 0) {
      blocks_.pop_back();
      with_room_.erase(static_cast<uint32_t>(blocks_.size()));
    }
    if (blocks_.size() * 4 < blocks_.capacity()) blocks_.shrink_to_fit();
  }

  // Whether the value that was given this slot and generation is still there.
  bool holds(uint32_t slot, uint64_t generation) const {
    uint32_t b = slot / kItems;
    return b < blocks_.size() && blocks_[b].is_used(slot % kItems) &&
           (*this)[slot].generation == generation;
  }

  T& operator[](uint32_t slot) { return blocks_[slot / kItems].items[slot % kItems]; }
  const T& operator[](uint32_t slot) const { return blocks_[slot / kItems].items[slot % kItems]; }

  // Taken from the system now.
  size_t bytes() const {
    size_t bytes = blocks_.capacity() * sizeof(Block) + generations_.capacity() * sizeof(uint32_t);
    for (const Block& block : blocks_)
      if (block.items) bytes += block.items.bytes();
    return bytes;
  }

 private:
  static constexpr uint32_t kItems = 2048;
  static constexpr uint32_t kFewItems = 64;

  struct Block {
    MappedArray<T> items;  // null while empty
    uint32_t used_count = 0;
    uint32_t touched = 0;  // so many from the first may have memory
    std::array<uint64_t, kItems / 64> used{};

    bool is_used(uint32_t i) const { return (used[i / 64] >> (i % 64) & 1) != 0; }
    uint32_t first_free() const {
      uint32_t word = 0;
      while (used[word] == UINT64_MAX) ++word;
      return word * 64 + static_cast<uint32_t>(std::countr_one(used[word]));
    }
  };

  bool is_worn_out(uint32_t b) const { return generations_[b] == kLastGeneration; }

  void add_block() {
    auto b = static_cast<uint32_t>(blocks_.size());
    if (b == kSlotsMax / kItems) throw std::bad_alloc();
    blocks_.emplace_back();
    if (b == generations_.size()) generations_.push_back(0);
    if (!is_worn_out(b)) with_room_.insert(b);
  }

  std::vector<Block> blocks_;
  std::vector<uint32_t> generations_;  // the last given in each block that ever was
  std::set<uint32_t> with_room_;       // numbers of blocks that can be added to
};

}  // namespace castore::fs
