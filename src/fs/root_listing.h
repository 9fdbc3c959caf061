// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/node.h"

namespace castore::fs {

// What the root held at one moment, packed into some fifty bytes an entry beside its name. Never
// changes.
class RootListing {
 public:
  // Leaves out what cannot be a name in a folder.
  explicit RootListing(std::span<const NamedNode> entries);

  size_t entry_count() const { return ends_.size(); }
  NamedNode entry(size_t i) const;

  // In memory.
  size_t bytes() const;

  friend bool operator==(const RootListing&, const RootListing&) = default;

 private:
  std::string packed_;        // entry messages of the model, one after the other
  std::vector<size_t> ends_;  // where each ends in packed_
};

}  // namespace castore::fs
