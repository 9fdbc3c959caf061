// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "digest/digest.h"
#include "fs/compact_text.h"
#include "fs/filesystem.h"
#include "fs/node_pool.h"

namespace castore::fs {

struct KnownNode {
  NodeId id = 0;
  NodeContent content;
};

// Where a directory node stands: the name it was looked up by, and in what.
struct Place {
  NodeId parent = 0;
  std::string name;
};

// The nodes which the kernel knows, all but the root. A node comes into being with its first
// reference and is gone with its last; its id is never given to another.
//
// A directory is one node per place (parent node and name), files and symlinks are one node per
// content. A file's content includes its recorded size, so that one tree recording a wrong size
// does not spoil the file for other trees.
//
// A directory node remembers its parent's id, and holds no reference to it: should the parent go
// first, the id leads nowhere, which only log lines notice. The parent looked up anew is another
// node, and so are the directories in it.
//
//   Threads  any method, any thread. Nodes are spread over shards, each with its lock; an id names
//            its shard.
//   Memory   42 bytes a file, 72 a directory or symlink with a text of up to 19 bytes (a longer one
//            is a heap block on top), and five to seven for the index. Sizes from 1 GiB on and
//            thousands of references take some 64 more. It goes back to the system as nodes are
//            released, but for 4 bytes for each 2,048 nodes that there ever were at a time.
//   Limits   16 million files, and as many directories and symlinks, a shard.
//   Strangers  choose names and digests, so hashes are keyed by numbers drawn at construction. They
//            may refer to a node any number of times, and use ids that have gone.
class InodeTable {
 public:
  InodeTable();
  InodeTable(const InodeTable&) = delete;
  InodeTable& operator=(const InodeTable&) = delete;

  // Each gives the node with one reference more, making it when there is none. A directory that
  // has a node at its place keeps it, whatever `digest` and `size` say.
  KnownNode acquire_directory(NodeId parent, std::string_view name, const Digest& digest,
                              uint64_t size);
  KnownNode acquire_file(const Digest& digest, uint64_t size, bool executable);
  KnownNode acquire_symlink(std::string_view target);

  // The same for a node that must exist.
  std::optional<KnownNode> acquire_place(NodeId parent, std::string_view name);
  // With `references` more; a node may have 2^63 in all.
  std::optional<KnownNode> acquire_node(NodeId id, uint64_t references = 1);

  // Takes back references, at most those there are. True when the node is gone by this.
  bool release(NodeId id, uint64_t count);

  std::optional<NodeContent> find(NodeId id);
  std::optional<std::string> symlink_target(NodeId id);
  std::optional<Place> place_of(NodeId id);

  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

  // Memory in use, but for long texts of directories and symlinks.
  size_t bytes();

 private:
  // An id, from its lowest bit: shard, whether the node has a text, slot and generation of its
  // record. It leads to the record with no index, and is good as long as the generation is the
  // record's. Generations begin with 1, so no id is 0 or kRootNode.
  static constexpr uint64_t kShards = 16;
  static constexpr uint64_t kHasText = kShards;
  static constexpr uint64_t kFirstSlot = 2 * kHasText;
  static constexpr uint64_t kFirstGeneration = kFirstSlot * SlotIndex::kSlotsMax;
  static_assert(kRootNode < kFirstGeneration);

  // Of a directory its place, of a symlink its target.
  struct TextRecord : NodeRecord {
    TextRecord(const NodeContent& content, NodeId parent_in, std::string_view text_in)
        : NodeRecord(content), text(text_in), parent(parent_in) {}

    CompactText text;
    NodeId parent;  // 0 of a symlink
  };
  static_assert(sizeof(TextRecord) == 72);

  using FilePool = NodePool<NodeRecord>;
  using TextPool = NodePool<TextRecord>;

  struct alignas(64) Shard {
    std::mutex mutex;
    FilePool files;
    TextPool texts;
  };

  uint64_t hash_place(NodeId parent, std::string_view name) const;
  uint64_t hash_content(const NodeContent& content) const;
  auto hash_in(const FilePool& pool) const;
  auto hash_in(const TextPool& pool) const;

  Shard& shard_of_hash(uint64_t hash) { return shards_[hash >> 60]; }

  // These need the shard's lock.
  template <typename Pool>
  KnownNode known(const Shard& shard, const Pool& pool, uint32_t slot) const;
  static auto find_place(const TextPool& pool, uint64_t hash, NodeId parent, std::string_view name);

  // These take it. `use(shard, pool, slot)` of the node; where there is none, an empty answer.
  template <typename Use>
  auto with_node(NodeId id, Use use);
  template <typename Pool, typename MakeRecord>
  KnownNode acquire_content(const NodeContent& content, Pool Shard::* pool_in, MakeRecord make);

  const std::array<uint64_t, 4> secret_;
  std::atomic<uint64_t> count_ = 0;
  std::array<Shard, kShards> shards_;
};

}  // namespace castore::fs
