// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/source_item.h"

#include <vector>

#include "model/name.h"
#include "transfer/message_path.h"

namespace castore::transfer {

// Lets go of a chain of parents one after the other; left to itself it would recurse as deep as
// the tree is.
SourcePlace::~SourcePlace() {
  std::shared_ptr<SourcePlace> ancestor = std::move(parent);
  while (ancestor && ancestor.use_count() == 1) ancestor = std::exchange(ancestor->parent, nullptr);
}

std::string SourceFolder::path_of(std::string_view entry) const {
  if (!place) return std::string(entry);  // the root, as the user wrote it
  std::vector<const SourcePlace*> places;
  for (const SourcePlace* at = place.get(); at; at = at->parent.get()) places.push_back(at);
  std::string path = places.back()->name;
  places.pop_back();
  for (; !places.empty(); places.pop_back()) {
    if (!path.ends_with('/')) path += '/';
    path += printable(places.back()->name);
  }
  if (!path.ends_with('/')) path += '/';
  return message_path(path + printable(entry));
}

}  // namespace castore::transfer
