// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/source_item.h"

#include <vector>

#include "model/name.h"

namespace castore::transfer {

// Lets go of a chain of parents one after the other; left to itself it would recurse as deep as
// the tree is.
SourceFolder::~SourceFolder() {
  std::shared_ptr<SourceFolder> ancestor = std::move(parent);
  while (ancestor && ancestor.use_count() == 1) ancestor = std::exchange(ancestor->parent, nullptr);
}

std::string SourceFolder::path_of(std::string_view entry) const {
  if (!parent) return std::string(entry);  // the root, as the user wrote it
  std::vector<const SourceFolder*> folders;
  for (const SourceFolder* folder = this; folder->parent; folder = folder->parent.get())
    folders.push_back(folder);
  std::string path = folders.back()->name;
  folders.pop_back();
  for (; !folders.empty(); folders.pop_back()) {
    if (!path.ends_with('/')) path += '/';
    path += printable(folders.back()->name);
  }
  if (!path.ends_with('/')) path += '/';
  return path + printable(entry);
}

}  // namespace castore::transfer
