// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "base/result.h"
#include "transfer/open_folders.h"
#include "transfer/source_item.h"

namespace castore::transfer {

// Takes one item; false ends the walk.
using EmitItem = std::function<bool(SourceItem item)>;

// Walks the tree at `root` depth first, the entries of each folder in bytewise order of their
// names, as NARs have them. Nothing is followed, `root` included. An item of kind kFailure with an
// error is the last one.
//
// Holds the names of the entries of all folders on the way down, but has only the lowest of these
// open. `folders` counts them and those that emitted items hold; it has room for kWalkFoldersMin at
// least.
void walk_tree(const std::string& root, OpenFolders& folders, const EmitItem& emit);

inline constexpr size_t kWalkFoldersMin = 5;

// Opens an entry of a source folder without following it, and where the kernel lets us without
// marking it as read: a first import would otherwise write to every inode of the source.
Result<UniqueFd> open_entry(const SourceFolder& folder, const std::string& name, int flags);

// The error for an entry that is neither folder, file nor symlink. `mode` as in stat(2).
Error unsupported_file_type(const std::string& path, mode_t mode);

}  // namespace castore::transfer
