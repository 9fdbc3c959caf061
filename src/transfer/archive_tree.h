// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/context.h"
#include "base/result.h"
#include "model/directory.h"
#include "model/node.h"
#include "store/services.h"
#include "transfer/ingest.h"
#include "transfer/tally.h"

namespace castore::transfer {

// Collects the members of an archive, which come in any order, into a tree. Folders on the way to a
// member are made. A member at the place of an earlier one takes its place, and what was below it
// is gone; two folders become one. About 120 bytes and the name for each member. Internal to
// transfer/.
class ArchiveTree {
 public:
  // What happened to the place a member was put at.
  enum class Placed { kNew, kReplaced };

  ArchiveTree();

  // Each kInvalidArgument when the path is absolute, leads out of the archive, has a name that no
  // directory can hold, or leads through something that is not a folder; kExhausted when it is too
  // deep.
  Result<Placed> add_folder(std::string_view path);
  Result<Placed> add_file(std::string_view path, const FileNode& node);
  Result<Placed> add_symlink(std::string_view path, std::string target);
  // Another name for the file or symlink at `target`, which must have been added before.
  Result<Placed> add_hard_link(std::string_view path, std::string_view target);

  // Stores the directories, children first, and gives the root. Called once, last.
  Result<Node> build(const Context& ctx, const store::Services& services, ArchiveRoot archive_root,
                     SizeConvention size_convention, Tally& tally);

 private:
  using Index = uint32_t;
  static constexpr Index kTop = 0;  // the folder that holds everything
  static constexpr Index kNone = UINT32_MAX;

  struct Entry {
    Digest digest{};    // files; folders once they are built
    uint64_t size = 0;  // the same
    Index parent = kNone;
    uint32_t text = 0;  // where in texts_ the name begins; a symlink's target follows
    uint16_t name_bytes = 0;
    uint16_t target_bytes = 0;
    NodeKind kind = NodeKind::kDirectory;
    bool executable = false;
    bool gone = false;
  };

  // Entries are found by parent and name.
  struct Key {
    Index parent;
    std::string_view name;
  };
  struct Hash {
    using is_transparent = void;
    const ArchiveTree* tree;
    size_t operator()(const Key& key) const;
    size_t operator()(Index index) const { return (*this)(tree->key_of(index)); }
  };
  struct Equal {
    using is_transparent = void;
    const ArchiveTree* tree;
    bool operator()(const Key& a, const Key& b) const {
      return a.parent == b.parent && a.name == b.name;
    }
    bool operator()(Index a, const Key& b) const { return (*this)(tree->key_of(a), b); }
    bool operator()(const Key& a, Index b) const { return (*this)(a, tree->key_of(b)); }
    bool operator()(Index a, Index b) const { return a == b; }
  };

  using Names = std::vector<std::string_view>;

  std::string_view name_of(const Entry& entry) const {
    return std::string_view(texts_).substr(entry.text, entry.name_bytes);
  }
  std::string_view target_of(const Entry& entry) const {
    return std::string_view(texts_).substr(entry.text + entry.name_bytes, entry.target_bytes);
  }
  Key key_of(Index index) const { return {entries_[index].parent, name_of(entries_[index])}; }
  std::string path_of(Index index) const;

  Index find(Index parent, std::string_view name) const;
  Result<Index> append(Index parent, std::string_view name, std::string_view target,
                       const Entry& entry);
  Result<Index> folder_at(const Names& names);
  Result<Placed> place(std::string_view path, const Entry& entry, std::string_view target);
  Node node_of(const Entry& entry) const;

  std::vector<Entry> entries_;  // parents before their children
  std::string texts_;
  std::unordered_set<Index, Hash, Equal> by_name_;
};

}  // namespace castore::transfer
