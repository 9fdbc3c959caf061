// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

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
//   Memory   64 bytes a node and 10 to 22 in two indexes; a directory or symlink its text on top.
//            It goes back to the system as nodes are released.
//   Strangers  choose names and digests, so hashes are keyed by numbers drawn at construction.
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
  std::optional<KnownNode> acquire_node(NodeId id);

  // Takes back references, at most those there are. True when the node is gone by this.
  bool release(NodeId id, uint64_t count);

  std::optional<NodeContent> find(NodeId id);
  std::optional<std::string> symlink_target(NodeId id);
  std::optional<Place> place_of(NodeId id);

  uint64_t count();

  // Memory in use, but for the texts of directories and symlinks.
  size_t bytes();

 private:
  static constexpr size_t kShards = 16;

  // What is too long or too rare for a record.
  struct Text {
    NodeId parent;  // of directories
    std::string text;
  };

  struct Record {
    NodeId id;
    uint64_t references : 56;
    FileType type : 4;
    bool executable : 1;
    uint64_t size;
    Digest digest;
    std::unique_ptr<Text> text;  // directories: the place; symlinks: the target

    NodeContent content() const { return {type, executable, size, digest}; }
  };
  static_assert(sizeof(Record) == 64);

  struct alignas(64) Shard {
    std::mutex mutex;
    Slab<Record> records;
    SlotIndex by_id;
    SlotIndex by_key;
    uint64_t ids_given = 0;
  };

  uint64_t hash_id(NodeId id) const;
  uint64_t hash_place(NodeId parent, std::string_view name) const;
  uint64_t hash_content(const NodeContent& content) const;
  uint64_t hash_key(const Record& record) const;

  Shard& shard_of_hash(uint64_t hash) { return shards_[hash >> 60]; }
  Shard& shard_of_id(NodeId id) { return shards_[id % kShards]; }

  // These need the shard's lock. A null pointer means there is none.
  Record* find_id(Shard& shard, NodeId id);
  Record* find_place(Shard& shard, uint64_t hash, NodeId parent, std::string_view name);
  Record& add(Shard& shard, uint64_t key_hash, const NodeContent& content,
              std::unique_ptr<Text> text);

  KnownNode acquire_content(const NodeContent& content, std::string_view target);

  const std::array<uint64_t, 4> secret_;
  std::array<Shard, kShards> shards_;
};

}  // namespace castore::fs
