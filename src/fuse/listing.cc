// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/listing.h"

#include <algorithm>
#include <cstring>

#include "fuse/abi.h"
#include "fuse/reply.h"

namespace castore::fuse {
namespace {

abi::Dirent to_dirent(const fs::ListedEntry& listed) {
  return {.ino = listed.inode,
          .off = listed.next_offset,
          .namelen = static_cast<uint32_t>(listed.name.size()),
          .type = mode_bits(listed.type) >> 12};
}

// `record` is as long as the record with its padding.
template <typename Head>
void write_record(MutableByteView record, const Head& head, std::string_view name) {
  std::memcpy(record.data(), &head, sizeof head);
  std::memcpy(record.data() + sizeof head, name.data(), name.size());
  auto padding = record.subspan(sizeof head + name.size());
  std::fill(padding.begin(), padding.end(), std::byte{0});
}

}  // namespace

MutableByteView ListingWriter::reserve(size_t bytes) {
  if (bytes > buffer_.size() - used_) {
    overflowed_ = true;
    return {};
  }
  MutableByteView record = buffer_.subspan(used_, bytes);
  used_ += bytes;
  return record;
}

bool ListingWriter::add(const fs::ListedEntry& listed) {
  auto record = reserve(abi::record_bytes(sizeof(abi::Dirent), listed.name.size()));
  if (record.empty()) return false;
  write_record(record, to_dirent(listed), listed.name);
  return true;
}

bool ListingWriter::add_plus(const fs::ListedEntry& listed, const fs::Entry& entry) {
  auto record = reserve(abi::record_bytes(sizeof(abi::DirentPlus), listed.name.size()));
  if (record.empty()) return false;
  abi::DirentPlus head{.entry = to_entry_out(entry), .dirent = to_dirent(listed)};
  write_record(record, head, listed.name);
  return true;
}

void forget_listed(fs::Filesystem& filesystem, ByteView records) {
  while (!records.empty()) {
    abi::DirentPlus head;
    std::memcpy(&head, records.data(), sizeof head);
    filesystem.forget(head.entry.nodeid, 1);
    records = records.subspan(abi::record_bytes(sizeof head, head.dirent.namelen));
  }
}

}  // namespace castore::fuse
