// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/mman.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <set>
#include <utility>
#include <vector>

namespace castore::fs {

// Keeps values of one type by slot number, without a heap block for each. Blocks come from the
// system directly and go back to it when their last value is removed (but for the first, lest a
// lone value coming and going cost two system calls each time). Low blocks are filled first, so
// that what stays behind after a crowd left is together. One thread at a time.
template <typename T>
class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (uint32_t b = 0; b < blocks_.size(); ++b)
      for (uint32_t i = 0; blocks_[b].items && i < kItems; ++i)
        if (blocks_[b].is_used(i)) std::destroy_at(blocks_[b].items.get() + i);
  }

  uint32_t add(T value) {
    if (with_room_.empty()) {
      with_room_.insert(static_cast<uint32_t>(blocks_.size()));
      blocks_.emplace_back();
    }
    uint32_t b = *with_room_.begin();
    Block& block = blocks_[b];
    if (!block.items) block.items = map_items();
    uint32_t i = block.first_free();
    std::construct_at(block.items.get() + i, std::move(value));
    block.used[i / 64] |= uint64_t{1} << (i % 64);
    if (++block.used_count == kItems) with_room_.erase(b);
    return b * kItems + i;
  }

  void remove(uint32_t slot) {
    uint32_t b = slot / kItems;
    uint32_t i = slot % kItems;
    Block& block = blocks_[b];
    std::destroy_at(block.items.get() + i);
    block.used[i / 64] &= ~(uint64_t{1} << (i % 64));
    if (block.used_count-- == kItems) with_room_.insert(b);
    if (block.used_count == 0 && b > 0) block.items.reset();
    while (blocks_.size() > 1 && blocks_.back().used_count == 0) {
      blocks_.pop_back();
      with_room_.erase(static_cast<uint32_t>(blocks_.size()));
    }
    if (blocks_.size() * 4 < blocks_.capacity()) blocks_.shrink_to_fit();
  }

  T& operator[](uint32_t slot) { return blocks_[slot / kItems].items.get()[slot % kItems]; }
  const T& operator[](uint32_t slot) const {
    return blocks_[slot / kItems].items.get()[slot % kItems];
  }

  // Taken from the system now.
  size_t bytes() const {
    size_t bytes = blocks_.capacity() * sizeof(Block);
    for (const Block& block : blocks_)
      if (block.items) bytes += kBlockBytes;
    return bytes;
  }

 private:
  static constexpr uint32_t kItems = 1024;
  static constexpr size_t kBlockBytes = kItems * sizeof(T);

  struct Unmap {
    void operator()(T* items) const { ::munmap(items, kBlockBytes); }
  };
  using Items = std::unique_ptr<T, Unmap>;

  struct Block {
    Items items;  // null while empty
    uint32_t used_count = 0;
    std::array<uint64_t, kItems / 64> used{};

    bool is_used(uint32_t i) const { return (used[i / 64] >> (i % 64) & 1) != 0; }
    uint32_t first_free() const {
      uint32_t word = 0;
      while (used[word] == UINT64_MAX) ++word;
      return word * 64 + static_cast<uint32_t>(std::countr_one(used[word]));
    }
  };

  static Items map_items() {
    void* mapped =
        ::mmap(nullptr, kBlockBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    return Items(static_cast<T*>(mapped));
  }

  std::vector<Block> blocks_;
  std::set<uint32_t> with_room_;  // numbers of blocks that are not full
};

}  // namespace castore::fs
