// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "fs/mapped_array.h"

namespace castore::fs {

// A hash index over things kept elsewhere, each named by a slot: five to seven bytes a thing, where
// a node-based map takes forty and more. Gives memory back when it empties.
//
// Open addressing with linear probing, where those further from their home come first: a search
// ends at the first one that is nearer to its home than what is sought would be, so that a table
// may be rather full. Each cell says how far from home it is, which tells most strangers apart
// without a look at the thing, and lets cells move without hashing anything again. Hashes are not
// stored: `hash_of(slot)` computes them again when the table changes size. They must be well mixed,
// in the low 32 bits at least.
//
//   Threads  one at a time.
//   Limits   slots below kSlotsMax. Any number of equal hashes works, slowly.
class SlotIndex {
 public:
  static constexpr uint32_t kSlotsMax = uint32_t{1} << 24;

  // The slot for which `matches(slot)` holds among those with `hash`.
  template <typename Matches>
  std::optional<uint32_t> find(uint64_t hash, Matches matches) const {
    if (count_ == 0) return std::nullopt;
    uint32_t place = 1;
    for (size_t at = home(hash); place_in(cells_[at]) >= place; at = next(at)) {
      if (place_in(cells_[at]) == place && matches(slot_in(cells_[at]))) return slot_in(cells_[at]);
      place = std::min(place + 1, kFar);
    }
    return std::nullopt;
  }

  template <typename HashOf>
  void insert(uint64_t hash, uint32_t slot, HashOf hash_of) {
    if ((count_ + 1) * 8 > cells_.size() * 7)
      resize(std::max(kCapacityMin, cells_.size() * 3 / 2), hash_of);
    put(hash, slot, hash_of);
    ++count_;
  }

  // `slot` must be there.
  template <typename HashOf>
  void erase(uint64_t hash, uint32_t slot, HashOf hash_of) {
    size_t hole = home(hash);
    while (slot_in(cells_[hole]) != slot) hole = next(hole);
    // What follows moves up by one, until something is at home or nothing is there.
    for (size_t at = next(hole); cells_[at] != kFree; at = next(at)) {
      size_t distance = distance_at(at, hash_of);
      if (distance == 0) break;
      cells_[hole] = cell(slot_in(cells_[at]), distance - 1);
      hole = at;
    }
    cells_[hole] = kFree;
    --count_;
    if (count_ * 4 < cells_.size() && cells_.size() > kCapacityMin)
      resize(std::max(kCapacityMin, cells_.size() / 2), hash_of);
  }

  size_t count() const { return count_; }
  size_t bytes() const { return cells_ ? cells_.bytes() : 0; }

 private:
  // A cell: the slot in the low 24 bits; above it one more than the distance from home, or kFar for
  // that and all beyond.
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kFar = 255;
  static constexpr size_t kCapacityMin = 1024;

  static uint32_t slot_in(uint32_t cell) { return cell % kSlotsMax; }
  static uint32_t place_in(uint32_t cell) { return cell / kSlotsMax; }
  static uint32_t cell(uint32_t slot, size_t distance) {
    return static_cast<uint32_t>(std::min<size_t>(distance + 1, kFar)) * kSlotsMax + slot;
  }

  // Spreads 32 bits over any capacity.
  size_t home(uint64_t hash) const { return (hash & UINT32_MAX) * cells_.size() >> 32; }
  size_t next(size_t at) const { return at + 1 == cells_.size() ? 0 : at + 1; }

  template <typename HashOf>
  size_t distance_at(size_t at, HashOf hash_of) const {
    if (place_in(cells_[at]) < kFar) return place_in(cells_[at]) - 1;
    size_t from = home(hash_of(slot_in(cells_[at])));
    return at >= from ? at - from : at + cells_.size() - from;
  }

  template <typename HashOf>
  void put(uint64_t hash, uint32_t slot, HashOf hash_of) {
    size_t at = home(hash);
    size_t distance = 0;
    for (; cells_[at] != kFree; at = next(at), ++distance) {
      size_t distance_there = distance_at(at, hash_of);
      if (distance_there >= distance) continue;
      slot = slot_in(std::exchange(cells_[at], cell(slot, distance)));
      distance = distance_there;
    }
    cells_[at] = cell(slot, distance);
  }

  template <typename HashOf>
  void resize(size_t capacity, HashOf hash_of) {
    MappedArray<uint32_t> old(capacity);
    std::swap(old, cells_);
    // A few at a time, so that the processor fetches many things at once to hash them.
    std::array<std::pair<uint64_t, uint32_t>, 32> batch;
    for (size_t i = 0; i < old.size();) {
      size_t n = 0;
      for (; i < old.size() && n < batch.size(); ++i)
        if (old[i] != kFree) batch[n++].second = slot_in(old[i]);
      for (size_t k = 0; k < n; ++k) batch[k].first = hash_of(batch[k].second);
      for (size_t k = 0; k < n; ++k) put(batch[k].first, batch[k].second, hash_of);
    }
  }

  MappedArray<uint32_t> cells_;
  size_t count_ = 0;
};

}  // namespace castore::fs
