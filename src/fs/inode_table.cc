// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/inode_table.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <type_traits>
#include <utility>

#include "digest/blake3.h"

namespace castore::fs {
namespace {

// Folds a 128-bit product. Without knowing what was mixed into `a` and `b` nobody can choose words
// that collide.
uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t random_word() {
  std::random_device source;
  return uint64_t{source()} << 32 | source();
}

}  // namespace

InodeTable::InodeTable()
    : secret_{random_word(), random_word(), random_word() | 1, random_word() | 1} {}

uint64_t InodeTable::hash_place(NodeId parent, std::string_view name) const {
  uint64_t hash = fold(parent ^ secret_[0], secret_[2]) ^ name.size();
  while (!name.empty()) {
    uint64_t word = 0;
    size_t n = std::min(name.size(), sizeof word);
    std::memcpy(&word, name.data(), n);
    hash = fold(hash ^ secret_[3], word ^ secret_[1]);
    name.remove_prefix(n);
  }
  return fold(hash ^ secret_[1], secret_[2]);
}

uint64_t InodeTable::hash_content(const NodeContent& content) const {
  std::array<uint64_t, 4> words;
  static_assert(sizeof words == Digest::kBytes);
  std::memcpy(words.data(), content.digest.bytes().data(), sizeof words);
  uint64_t kind = static_cast<uint64_t>(content.type) * 2 + content.executable;
  uint64_t digest = fold(words[0] ^ secret_[0], words[1] ^ secret_[1]) ^
                    fold(words[2] ^ secret_[2], words[3] ^ secret_[3]);
  return fold(digest ^ secret_[1], content.size ^ secret_[0]) ^ fold(kind ^ secret_[2], secret_[3]);
}

auto InodeTable::hash_in(const FilePool& pool) const {
  return [this, &pool](uint32_t slot) { return hash_content(pool.content(slot)); };
}

auto InodeTable::hash_in(const TextPool& pool) const {
  return [this, &pool](uint32_t slot) {
    const TextRecord& record = pool[slot];
    return record.type == FileType::kDirectory ? hash_place(record.parent, record.text.view())
                                               : hash_content(pool.content(slot));
  };
}

template <typename Pool>
KnownNode InodeTable::known(const Shard& shard, const Pool& pool, uint32_t slot) const {
  NodeId id = pool[slot].generation * kFirstGeneration + slot * kFirstSlot +
              (std::is_same_v<Pool, TextPool> ? kHasText : 0) +
              static_cast<uint64_t>(&shard - shards_.data());
  return {id, pool.content(slot)};
}

auto InodeTable::find_place(const TextPool& pool, uint64_t hash, NodeId parent,
                            std::string_view name) {
  return pool.find(hash, [&](uint32_t slot) {
    const TextRecord& record = pool[slot];
    return record.type == FileType::kDirectory && record.parent == parent &&
           record.text.view() == name;
  });
}

template <typename Use>
auto InodeTable::with_node(NodeId id, Use use) {
  using Answer = std::invoke_result_t<Use, Shard&, FilePool&, uint32_t>;
  const auto slot = static_cast<uint32_t>(id / kFirstSlot % SlotIndex::kSlotsMax);
  const uint64_t generation = id / kFirstGeneration;
  Shard& shard = shards_[id % kShards];
  std::lock_guard lock(shard.mutex);
  auto use_in = [&](auto& pool) {
    return pool.holds(slot, generation) ? use(shard, pool, slot) : Answer{};
  };
  return (id & kHasText) != 0 ? use_in(shard.texts) : use_in(shard.files);
}

KnownNode InodeTable::acquire_directory(NodeId parent, std::string_view name, const Digest& digest,
                                        uint64_t size) {
  const uint64_t hash = hash_place(parent, name);
  Shard& shard = shard_of_hash(hash);
  std::lock_guard lock(shard.mutex);
  TextPool& pool = shard.texts;
  auto slot = find_place(pool, hash, parent, name);
  if (slot) {
    pool.add_references(*slot, 1);
  } else {
    TextRecord record({FileType::kDirectory, false, size, digest}, parent, name);
    slot = pool.add(hash, std::move(record), size, hash_in(pool));
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  return known(shard, pool, *slot);
}

template <typename Pool, typename MakeRecord>
KnownNode InodeTable::acquire_content(const NodeContent& content, Pool Shard::* pool_in,
                                      MakeRecord make) {
  const uint64_t hash = hash_content(content);
  Shard& shard = shard_of_hash(hash);
  std::lock_guard lock(shard.mutex);
  Pool& pool = shard.*pool_in;
  auto slot = pool.find(hash, [&](uint32_t s) { return pool.is(s, content); });
  if (slot) {
    pool.add_references(*slot, 1);
  } else {
    slot = pool.add(hash, make(), content.size, hash_in(pool));
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  return known(shard, pool, *slot);
}

KnownNode InodeTable::acquire_file(const Digest& digest, uint64_t size, bool executable) {
  const NodeContent content = {FileType::kRegular, executable, size, digest};
  return acquire_content(content, &Shard::files, [&] { return NodeRecord(content); });
}

KnownNode InodeTable::acquire_symlink(std::string_view target) {
  const NodeContent content = {FileType::kSymlink, false, target.size(), blake3(target)};
  return acquire_content(content, &Shard::texts, [&] { return TextRecord(content, 0, target); });
}

std::optional<KnownNode> InodeTable::acquire_place(NodeId parent, std::string_view name) {
  const uint64_t hash = hash_place(parent, name);
  Shard& shard = shard_of_hash(hash);
  std::lock_guard lock(shard.mutex);
  auto slot = find_place(shard.texts, hash, parent, name);
  if (!slot) return std::nullopt;
  shard.texts.add_references(*slot, 1);
  return known(shard, shard.texts, *slot);
}

std::optional<KnownNode> InodeTable::acquire_node(NodeId id, uint64_t references) {
  return with_node(id, [&](Shard& shard, auto& pool, uint32_t slot) {
    pool.add_references(slot, references);
    return std::optional(known(shard, pool, slot));
  });
}

bool InodeTable::release(NodeId id, uint64_t count) {
  return with_node(id, [&](Shard&, auto& pool, uint32_t slot) {
    const bool is_gone = pool.release(slot, count, hash_in(pool));
    if (is_gone) count_.fetch_sub(1, std::memory_order_relaxed);
    return is_gone;
  });
}

std::optional<NodeContent> InodeTable::find(NodeId id) {
  return with_node(
      id, [](Shard&, auto& pool, uint32_t slot) { return std::optional(pool.content(slot)); });
}

std::optional<std::string> InodeTable::symlink_target(NodeId id) {
  return with_node(id, [](Shard&, auto& pool, uint32_t slot) {
    std::optional<std::string> target;
    if constexpr (std::is_same_v<decltype(pool), TextPool&>)
      if (pool[slot].type == FileType::kSymlink) target = pool[slot].text.view();
    return target;
  });
}

std::optional<Place> InodeTable::place_of(NodeId id) {
  return with_node(id, [](Shard&, auto& pool, uint32_t slot) {
    std::optional<Place> place;
    if constexpr (std::is_same_v<decltype(pool), TextPool&>)
      if (pool[slot].type == FileType::kDirectory)
        place = {pool[slot].parent, std::string(pool[slot].text.view())};
    return place;
  });
}

size_t InodeTable::bytes() {
  size_t bytes = 0;
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    bytes += shard.files.bytes() + shard.texts.bytes();
  }
  return bytes;
}

}  // namespace castore::fs
