// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "fs/filesystem.h"

namespace castore::fuse {

// Writes the records of READDIR or READDIRPLUS into a buffer, one after the other, until one does
// not fit.
class ListingWriter {
 public:
  explicit ListingWriter(MutableByteView buffer) : buffer_(buffer) {}

  // False when there is no room; nothing is written then.
  bool add(const fs::ListedEntry& listed);
  bool add_plus(const fs::ListedEntry& listed, const fs::Entry& entry);

  ByteView written() const { return buffer_.first(used_); }
  // Whether a record was offered that had no room.
  bool overflowed() const { return overflowed_; }

 private:
  MutableByteView reserve(size_t bytes);

  MutableByteView buffer_;
  size_t used_ = 0;
  bool overflowed_ = false;
};

// Gives back the references that the records of a READDIRPLUS answer hold, when nobody received it.
void forget_listed(fs::Filesystem& filesystem, ByteView records);

}  // namespace castore::fuse
