// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/root_listing.h"

#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "model/name.h"

namespace castore::fs {

RootListing::RootListing(std::span<const NamedNode> entries) {
  for (const NamedNode& entry : entries) {
    if (check_name(entry.name)) continue;
    packed_ += encode_entry(entry.name, entry.node);
    ends_.push_back(packed_.size());
  }
  packed_.shrink_to_fit();
  ends_.shrink_to_fit();
}

NamedNode RootListing::entry(size_t i) const {
  size_t begin = i == 0 ? 0 : ends_[i - 1];
  auto entry = decode_entry(bytes_of(packed_).subspan(begin, ends_[i] - begin));
  CASTORE_CHECK(entry.has_value(), "a listing cannot read what it wrote");
  return std::move(*entry);
}

size_t RootListing::bytes() const {
  return sizeof *this + packed_.capacity() + ends_.capacity() * sizeof(size_t);
}

}  // namespace castore::fs
