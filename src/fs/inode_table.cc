// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/inode_table.h"

#include <algorithm>
#include <cstring>
#include <random>
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

// As wide as the field.
constexpr uint64_t kReferencesMax = (uint64_t{1} << 56) - 1;

uint64_t random_word() {
  std::random_device source;
  return uint64_t{source()} << 32 | source();
}

}  // namespace

InodeTable::InodeTable()
    : secret_{random_word(), random_word(), random_word() | 1, random_word() | 1} {}

uint64_t InodeTable::hash_id(NodeId id) const {
  return fold(id ^ secret_[0], secret_[2]);
}

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

uint64_t InodeTable::hash_key(const Record& record) const {
  if (record.type == FileType::kDirectory)
    return hash_place(record.text->parent, record.text->text);
  return hash_content(record.content());
}

InodeTable::Record* InodeTable::find_id(Shard& shard, NodeId id) {
  auto slot = shard.by_id.find(hash_id(id), [&](uint32_t s) { return shard.records[s].id == id; });
  return slot ? &shard.records[*slot] : nullptr;
}

InodeTable::Record* InodeTable::find_place(Shard& shard, uint64_t hash, NodeId parent,
                                           std::string_view name) {
  auto slot = shard.by_key.find(hash, [&](uint32_t s) {
    const Record& record = shard.records[s];
    return record.type == FileType::kDirectory && record.text->parent == parent &&
           record.text->text == name;
  });
  return slot ? &shard.records[*slot] : nullptr;
}

InodeTable::Record& InodeTable::add(Shard& shard, uint64_t key_hash, const NodeContent& content,
                                    std::unique_ptr<Text> text) {
  auto number = static_cast<uint64_t>(&shard - shards_.data());
  NodeId id = ++shard.ids_given * kShards + number;
  uint32_t slot = shard.records.add(Record{id, 1, content.type, content.executable, content.size,
                                           content.digest, std::move(text)});
  shard.by_id.insert(hash_id(id), slot, [&](uint32_t s) { return hash_id(shard.records[s].id); });
  shard.by_key.insert(key_hash, slot, [&](uint32_t s) { return hash_key(shard.records[s]); });
  return shard.records[slot];
}

KnownNode InodeTable::acquire_directory(NodeId parent, std::string_view name, const Digest& digest,
                                        uint64_t size) {
  const uint64_t hash = hash_place(parent, name);
  Shard& shard = shard_of_hash(hash);
  std::lock_guard lock(shard.mutex);
  Record* record = find_place(shard, hash, parent, name);
  if (record != nullptr)
    ++record->references;
  else
    record = &add(shard, hash, {FileType::kDirectory, false, size, digest},
                  std::make_unique<Text>(parent, std::string(name)));
  return {record->id, record->content()};
}

KnownNode InodeTable::acquire_file(const Digest& digest, uint64_t size, bool executable) {
  return acquire_content({FileType::kRegular, executable, size, digest}, {});
}

KnownNode InodeTable::acquire_symlink(std::string_view target) {
  return acquire_content({FileType::kSymlink, false, target.size(), blake3(target)}, target);
}

KnownNode InodeTable::acquire_content(const NodeContent& content, std::string_view target) {
  const uint64_t hash = hash_content(content);
  Shard& shard = shard_of_hash(hash);
  std::lock_guard lock(shard.mutex);
  auto slot =
      shard.by_key.find(hash, [&](uint32_t s) { return shard.records[s].content() == content; });
  if (slot) {
    Record& record = shard.records[*slot];
    ++record.references;
    return {record.id, content};
  }
  std::unique_ptr<Text> text;
  if (content.type == FileType::kSymlink) text = std::make_unique<Text>(0, std::string(target));
  return {add(shard, hash, content, std::move(text)).id, content};
}

std::optional<KnownNode> InodeTable::acquire_place(NodeId parent, std::string_view name) {
  const uint64_t hash = hash_place(parent, name);
  Shard& shard = shard_of_hash(hash);
  std::lock_guard lock(shard.mutex);
  Record* record = find_place(shard, hash, parent, name);
  if (record == nullptr) return std::nullopt;
  ++record->references;
  return KnownNode{record->id, record->content()};
}

std::optional<KnownNode> InodeTable::acquire_node(NodeId id) {
  Shard& shard = shard_of_id(id);
  std::lock_guard lock(shard.mutex);
  Record* record = find_id(shard, id);
  if (record == nullptr) return std::nullopt;
  ++record->references;
  return KnownNode{id, record->content()};
}

bool InodeTable::release(NodeId id, uint64_t count) {
  Shard& shard = shard_of_id(id);
  std::lock_guard lock(shard.mutex);
  auto slot = shard.by_id.find(hash_id(id), [&](uint32_t s) { return shard.records[s].id == id; });
  if (!slot) return false;
  Record& record = shard.records[*slot];
  if (record.references > count) {
    record.references = (record.references - count) & kReferencesMax;
    return false;
  }
  shard.by_key.erase(hash_key(record), *slot,
                     [&](uint32_t s) { return hash_key(shard.records[s]); });
  shard.by_id.erase(hash_id(id), *slot, [&](uint32_t s) { return hash_id(shard.records[s].id); });
  shard.records.remove(*slot);
  return true;
}

std::optional<NodeContent> InodeTable::find(NodeId id) {
  Shard& shard = shard_of_id(id);
  std::lock_guard lock(shard.mutex);
  Record* record = find_id(shard, id);
  if (record == nullptr) return std::nullopt;
  return record->content();
}

std::optional<std::string> InodeTable::symlink_target(NodeId id) {
  Shard& shard = shard_of_id(id);
  std::lock_guard lock(shard.mutex);
  Record* record = find_id(shard, id);
  if (record == nullptr || record->type != FileType::kSymlink) return std::nullopt;
  return record->text->text;
}

std::optional<Place> InodeTable::place_of(NodeId id) {
  Shard& shard = shard_of_id(id);
  std::lock_guard lock(shard.mutex);
  Record* record = find_id(shard, id);
  if (record == nullptr || record->type != FileType::kDirectory) return std::nullopt;
  return Place{record->text->parent, record->text->text};
}

uint64_t InodeTable::count() {
  uint64_t count = 0;
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    count += shard.by_id.count();
  }
  return count;
}

size_t InodeTable::bytes() {
  size_t bytes = 0;
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    bytes += shard.records.bytes() + shard.by_id.bytes() + shard.by_key.bytes();
  }
  return bytes;
}

}  // namespace castore::fs
