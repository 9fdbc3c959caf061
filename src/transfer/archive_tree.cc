// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/archive_tree.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "base/check.h"
#include "model/limits.h"
#include "model/name.h"

namespace castore::transfer {
namespace {

// Resolves a member's path into names: "./" and doubled slashes mean nothing, ".." takes back the
// name before it, symlinks are not consulted.
Result<std::vector<std::string_view>> split_member_path(std::string_view path) {
  const auto refuse = [path](std::string_view why) {
    return fail(ErrorKind::kInvalidArgument, "unable to convert path '{}': {}", printable(path),
                why);
  };
  if (path.empty()) return refuse("it is empty");
  if (path.starts_with('/')) return refuse("it is absolute");
  std::vector<std::string_view> names;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path.remove_prefix(slash == path.npos ? path.size() : slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (names.empty()) return refuse("its .. lead out of the archive");
      names.pop_back();
      continue;
    }
    if (auto fault = check_name(name)) return refuse(describe(*fault));
    names.push_back(name);
  }
  // One level is the folder that holds everything.
  if (names.size() >= kTreeDepthMax)
    return fail(ErrorKind::kExhausted, "a member lies {} levels deep; {} are possible",
                names.size(), kTreeDepthMax - 1);
  return names;
}

}  // namespace

size_t ArchiveTree::Hash::operator()(const Key& key) const {
  constexpr size_t kOddConstant = 0x9E3779B97F4A7C15;  // spreads small numbers over all bits
  return std::hash<std::string_view>()(key.name) ^ (key.parent + size_t{1}) * kOddConstant;
}

ArchiveTree::ArchiveTree() : by_name_(0, Hash{this}, Equal{this}) {
  entries_.emplace_back();
}

Result<ArchiveTree::Placed> ArchiveTree::add_folder(std::string_view path) {
  return place(path, Entry{.kind = NodeKind::kDirectory}, "");
}

Result<ArchiveTree::Placed> ArchiveTree::add_file(std::string_view path, const FileNode& node) {
  return place(path,
               Entry{.digest = node.digest,
                     .size = node.size,
                     .kind = NodeKind::kFile,
                     .executable = node.executable},
               "");
}

Result<ArchiveTree::Placed> ArchiveTree::add_symlink(std::string_view path, std::string target) {
  const SymlinkTarget valid =
      CASTORE_TRY_WHILE(SymlinkTarget::parse(std::move(target)), "symlink {}", printable(path));
  return place(path, Entry{.kind = NodeKind::kSymlink}, valid.text());
}

Result<ArchiveTree::Placed> ArchiveTree::add_hard_link(std::string_view path,
                                                       std::string_view target) {
  Index index = kTop;
  for (std::string_view name :
       CASTORE_TRY_WHILE(split_member_path(target), "hard link {}", printable(path))) {
    index = find(index, name);
    if (index == kNone) break;
  }
  if (index == kNone || entries_[index].kind == NodeKind::kDirectory)
    return fail(ErrorKind::kInvalidArgument, "hard link {}: the archive has no file {} before it",
                printable(path), printable(target));
  const Entry linked = entries_[index];
  return place(path, linked, std::string(target_of(linked)));
}

Result<ArchiveTree::Placed> ArchiveTree::place(std::string_view path, const Entry& entry,
                                               std::string_view target) {
  std::vector<std::string_view> names = CASTORE_TRY(split_member_path(path));
  if (names.empty()) {
    if (entry.kind == NodeKind::kDirectory) return Placed::kNew;
    return fail(ErrorKind::kInvalidArgument, "unable to convert path '{}': it is the top folder",
                printable(path));
  }
  const std::string_view name = names.back();
  names.pop_back();
  const Index parent = CASTORE_TRY(folder_at(names));
  const Index before = find(parent, name);
  if (before != kNone) {
    Entry& old = entries_[before];
    if (old.kind == NodeKind::kDirectory && entry.kind == NodeKind::kDirectory) return Placed::kNew;
    by_name_.erase(before);
    old.gone = true;
  }
  CASTORE_TRY(append(parent, name, target, entry));
  return before == kNone ? Placed::kNew : Placed::kReplaced;
}

// Makes the folders that are missing.
Result<ArchiveTree::Index> ArchiveTree::folder_at(const Names& names) {
  Index folder = kTop;
  for (std::string_view name : names) {
    Index child = find(folder, name);
    if (child == kNone)
      child = CASTORE_TRY(append(folder, name, "", Entry{.kind = NodeKind::kDirectory}));
    if (entries_[child].kind != NodeKind::kDirectory)
      return fail(ErrorKind::kInvalidArgument,
                  "a member's path leads through {}, which the archive says is a {}",
                  path_of(child), to_string(entries_[child].kind));
    folder = child;
  }
  return folder;
}

ArchiveTree::Index ArchiveTree::find(Index parent, std::string_view name) const {
  auto found = by_name_.find(Key{parent, name});
  return found == by_name_.end() ? kNone : *found;
}

Result<ArchiveTree::Index> ArchiveTree::append(Index parent, std::string_view name,
                                               std::string_view target, const Entry& entry) {
  constexpr size_t kMax = std::numeric_limits<Index>::max();
  if (entries_.size() >= kMax || texts_.size() + name.size() + target.size() > kMax)
    return fail(ErrorKind::kExhausted, "the archive has too many members");
  const auto index = static_cast<Index>(entries_.size());
  Entry& added = entries_.emplace_back(entry);
  added.parent = parent;
  added.text = static_cast<uint32_t>(texts_.size());
  added.name_bytes = static_cast<uint16_t>(name.size());
  added.target_bytes = static_cast<uint16_t>(target.size());
  texts_.append(name).append(target);
  by_name_.insert(index);
  return index;
}

std::string ArchiveTree::path_of(Index index) const {
  std::vector<Index> line;
  for (; index != kTop; index = entries_[index].parent) line.push_back(index);
  std::string path;
  for (; !line.empty(); line.pop_back()) {
    if (!path.empty()) path += '/';
    path += printable(name_of(entries_[line.back()]));
  }
  return path;
}

Node ArchiveTree::node_of(const Entry& entry) const {
  switch (entry.kind) {
    case NodeKind::kDirectory:
      return DirectoryNode{entry.digest, entry.size};
    case NodeKind::kFile:
      return FileNode{entry.digest, entry.size, entry.executable};
    case NodeKind::kSymlink:
      return SymlinkNode{*SymlinkTarget::parse(std::string(target_of(entry)))};
  }
  std::unreachable();
}

Result<Node> ArchiveTree::build(const Context& ctx, const store::Services& services,
                                ArchiveRoot archive_root, SizeConvention size_convention,
                                Tally& tally) {
  // Children of each folder, as lists. Those of a folder that is gone are gone as well.
  std::vector<Index> first_child(entries_.size(), kNone);
  std::vector<Index> next_sibling(entries_.size(), kNone);
  size_t top_count = 0;
  for (Index i = 1; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    entry.gone = entry.gone || entries_[entry.parent].gone;
    if (entry.gone) continue;
    next_sibling[i] = std::exchange(first_child[entry.parent], i);
    if (entry.parent == kTop) ++top_count;
  }

  const bool whole = archive_root == ArchiveRoot::kWhole;
  const Index root = whole ? kTop : first_child[kTop];
  if (!whole && (top_count != 1 || entries_[root].kind != NodeKind::kDirectory))
    return fail(ErrorKind::kInvalidArgument,
                "unexpected number of top level directory entries: one folder was expected, there "
                "{}; --tar-root=whole makes a folder of the archive's whole top level",
                top_count == 0   ? "is nothing"
                : top_count == 1 ? fmt::format("is one {}", to_string(entries_[root].kind))
                                 : fmt::format("are {} entries", top_count));

  // A folder stands before what is in it.
  for (Index i = static_cast<Index>(entries_.size()); i-- > root;) {
    Entry& folder = entries_[i];
    if (folder.kind != NodeKind::kDirectory || folder.gone) continue;
    CASTORE_TRY(ctx.check());
    DirectoryBuilder builder;
    for (Index child = first_child[i]; child != kNone; child = next_sibling[child])
      CASTORE_TRY_WHILE(builder.add(name_of(entries_[child]), node_of(entries_[child])), "{}",
                        path_of(child));
    const auto directory = builder.build();
    if (!directory)
      return fail(ErrorKind::kExhausted, "{}: {}", path_of(i), directory.error().message());
    folder.digest = CASTORE_TRY_WHILE(services.directories->put(ctx, *directory),
                                      "storing the directory of {}", path_of(i));
    folder.size = directory->size(size_convention);
    ++tally.directories;
  }
  return node_of(entries_[root]);
}

}  // namespace castore::transfer
