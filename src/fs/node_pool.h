// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "digest/digest.h"
#include "fs/filesystem.h"
#include "fs/slab.h"
#include "fs/slot_index.h"

namespace castore::fs {

// What a node is. Never changes.
struct NodeContent {
  FileType type = FileType::kRegular;
  bool executable = false;
  uint64_t size = 0;  // as recorded by the parent; of a symlink its target's length
  Digest digest;      // of a symlink the BLAKE3 of its target

  friend bool operator==(const NodeContent&, const NodeContent&) = default;
};

// What is kept of every node. The numbers hold nearly all that come by; NodePool keeps the others.
// Packed, since there may be many millions.
struct [[gnu::packed]] NodeRecord {
  static constexpr uint64_t kSizeElsewhere = (uint64_t{1} << 30) - 1;
  static constexpr uint64_t kReferencesMax = (uint64_t{1} << 15) - 1;

  explicit NodeRecord(const NodeContent& content)
      : size(std::min(content.size, kSizeElsewhere) & kSizeElsewhere),
        type(content.type),
        executable(content.executable) {
    std::memcpy(digest.data(), content.digest.bytes().data(), digest.size());
  }

  std::array<std::byte, Digest::kBytes> digest;
  uint32_t generation = 0;  // given by Slab
  uint64_t size : 30;
  uint64_t references : 15 = 1;
  FileType type : 2;
  bool executable : 1;
};
static_assert(sizeof(NodeRecord) == 42);

// Nodes of one form: their records, which are or begin with a NodeRecord, and an index of them by a
// key that the caller hashes and compares (`hash_of(slot)` as SlotIndex wants it). One thread at a
// time.
template <typename Record>
class NodePool {
 public:
  static constexpr uint32_t kSlotsMax = SlotIndex::kSlotsMax;

  // A new node with one reference.
  template <typename HashOf>
  uint32_t add(uint64_t hash, Record&& record, uint64_t size, HashOf hash_of) {
    uint32_t slot = records_.add(std::move(record));
    if (size >= NodeRecord::kSizeElsewhere) huge_sizes_.emplace(slot, size);
    by_key_.insert(hash, slot, hash_of);
    return slot;
  }

  template <typename Matches>
  std::optional<uint32_t> find(uint64_t hash, Matches matches) const {
    return by_key_.find(hash, matches);
  }
  bool holds(uint32_t slot, uint64_t generation) const { return records_.holds(slot, generation); }

  const Record& operator[](uint32_t slot) const { return records_[slot]; }

  NodeContent content(uint32_t slot) const {
    const NodeRecord& record = records_[slot];
    return {record.type, record.executable, size(slot), Digest(record.digest)};
  }
  bool is(uint32_t slot, const NodeContent& content) const {
    const NodeRecord& record = records_[slot];
    return Digest(record.digest) == content.digest && record.type == content.type &&
           record.executable == content.executable && size(slot) == content.size;
  }

  // Together there may be 2^63 references.
  void add_references(uint32_t slot, uint64_t count) {
    NodeRecord& record = records_[slot];
    if (count <= NodeRecord::kReferencesMax - record.references)
      record.references = (record.references + count) & NodeRecord::kReferencesMax;
    else
      set_references(slot, references(slot) + count);
  }

  // Takes back at most those there are. True when the node is gone by this.
  template <typename HashOf>
  bool release(uint32_t slot, uint64_t count, HashOf hash_of) {
    NodeRecord& record = records_[slot];
    if (record.references > count) {
      record.references = (record.references - count) & NodeRecord::kReferencesMax;
      return false;
    }
    if (uint64_t all = references(slot); all > count) {
      set_references(slot, all - count);
      return false;
    }
    by_key_.erase(hash_of(slot), slot, hash_of);
    if (!more_references_.empty()) more_references_.erase(slot);
    if (!huge_sizes_.empty()) huge_sizes_.erase(slot);
    records_.remove(slot);
    return true;
  }

  size_t count() const { return by_key_.count(); }
  size_t bytes() const {
    return records_.bytes() + by_key_.bytes() +
           (huge_sizes_.size() + more_references_.size()) * kMapNodeBytes;
  }

 private:
  // What a std::map takes from the heap for an entry.
  static constexpr size_t kMapNodeBytes = 64;

  uint64_t size(uint32_t slot) const {
    uint64_t size = records_[slot].size;
    return size == NodeRecord::kSizeElsewhere ? huge_sizes_.find(slot)->second : size;
  }

  uint64_t references(uint32_t slot) const {
    auto more = more_references_.find(slot);
    return records_[slot].references + (more == more_references_.end() ? 0 : more->second);
  }

  // Leaves the record half full if it cannot hold all, so that the next thousands of changes
  // either way are its own.
  void set_references(uint32_t slot, uint64_t count) {
    constexpr uint64_t kHalf = NodeRecord::kReferencesMax / 2;
    if (count <= NodeRecord::kReferencesMax)
      more_references_.erase(slot);
    else
      more_references_.insert_or_assign(slot, count - kHalf);
    records_[slot].references =
        (count <= NodeRecord::kReferencesMax ? count : kHalf) & NodeRecord::kReferencesMax;
  }

  Slab<Record, kSlotsMax> records_;
  SlotIndex by_key_;
  std::map<uint32_t, uint64_t> huge_sizes_;       // from kSizeElsewhere on
  std::map<uint32_t, uint64_t> more_references_;  // than the record holds
};

}  // namespace castore::fs
