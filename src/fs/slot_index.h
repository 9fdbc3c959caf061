// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace castore::fs {

// A hash index over things kept elsewhere, each named by a 32-bit slot: five to eleven bytes a
// thing, where a node-based map takes forty and more. Open addressing with linear probing, no
// tombstones. Hashes are not stored: `hash_of(slot)` computes them again when entries move, and
// they must be well mixed. Gives memory back when it empties. One thread at a time.
class SlotIndex {
 public:
  // The slot for which `matches(slot)` holds among those with `hash`.
  template <typename Matches>
  std::optional<uint32_t> find(uint64_t hash, Matches matches) const {
    if (table_.empty()) return std::nullopt;
    for (size_t at = home(hash); table_[at] != kFree; at = next(at))
      if (matches(table_[at])) return table_[at];
    return std::nullopt;
  }

  template <typename HashOf>
  void insert(uint64_t hash, uint32_t slot, HashOf hash_of) {
    if ((count_ + 1) * 4 > table_.size() * 3)
      resize(std::max(kCapacityMin, table_.size() * 2), hash_of);
    place(hash, slot);
    ++count_;
  }

  // `slot` must be there.
  template <typename HashOf>
  void erase(uint64_t hash, uint32_t slot, HashOf hash_of) {
    size_t hole = home(hash);
    while (table_[hole] != slot) hole = next(hole);
    // Later entries of the run move up where that does not put them before their home.
    for (size_t at = next(hole); table_[at] != kFree; at = next(at)) {
      size_t distance_from_home = (at - home(hash_of(table_[at]))) & (table_.size() - 1);
      size_t distance_from_hole = (at - hole) & (table_.size() - 1);
      if (distance_from_home < distance_from_hole) continue;
      table_[hole] = table_[at];
      hole = at;
    }
    table_[hole] = kFree;
    --count_;
    if (count_ * 8 < table_.size() && table_.size() > kCapacityMin)
      resize(table_.size() / 4, hash_of);
  }

  size_t count() const { return count_; }
  size_t bytes() const { return table_.capacity() * sizeof(uint32_t); }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;
  static constexpr size_t kCapacityMin = 16;  // capacities are powers of two

  size_t home(uint64_t hash) const { return static_cast<size_t>(hash) & (table_.size() - 1); }
  size_t next(size_t at) const { return (at + 1) & (table_.size() - 1); }

  void place(uint64_t hash, uint32_t slot) {
    size_t at = home(hash);
    while (table_[at] != kFree) at = next(at);
    table_[at] = slot;
  }

  template <typename HashOf>
  void resize(size_t capacity, HashOf hash_of) {
    std::vector<uint32_t> old(std::max(kCapacityMin, capacity), kFree);
    std::swap(old, table_);
    for (uint32_t slot : old)
      if (slot != kFree) place(hash_of(slot), slot);
  }

  std::vector<uint32_t> table_;
  size_t count_ = 0;
};

}  // namespace castore::fs
