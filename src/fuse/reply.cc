// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/reply.h"

#include <sys/stat.h>

#include <array>
#include <limits>

namespace castore::fuse {
namespace {

constexpr uint64_t kForEver_s = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kForEver_ns = 999'999'999;
constexpr uint32_t kBlockBytes = 4096;

ByteView view_of(const abi::OutHeader& header) {
  return {reinterpret_cast<const std::byte*>(&header), sizeof header};
}

}  // namespace

size_t Answer::body_bytes_max() const {
  size_t whole = sink_.bytes_max();
  return whole < sizeof(abi::OutHeader) ? 0 : whole - sizeof(abi::OutHeader);
}

bool Answer::bytes(ByteView body) {
  if (sizeof(abi::OutHeader) + body.size() > sink_.bytes_max()) {
    error(Refusal::kTooLarge);
    return false;
  }
  body_bytes_ = body.size();
  abi::OutHeader header{
      .len = static_cast<uint32_t>(sizeof header + body.size()), .error = 0, .unique = unique_};
  std::array<ByteView, 2> pieces{view_of(header), body};
  return sink_.send(std::span(pieces).first(body.empty() ? 1 : 2));
}

bool Answer::file(const fs::FileRange& body) {
  abi::OutHeader header{
      .len = static_cast<uint32_t>(sizeof header + body.size), .error = 0, .unique = unique_};
  if (!sink_.send_file(view_of(header), body)) return false;
  body_bytes_ = body.size;
  return true;
}

bool Answer::send_error(int errno_value) {
  failed_ = true;
  if (sink_.bytes_max() < sizeof(abi::OutHeader)) return false;
  abi::OutHeader header{.len = sizeof header, .error = -errno_value, .unique = unique_};
  ByteView piece = view_of(header);
  return sink_.send({&piece, 1});
}

uint32_t mode_bits(fs::FileType type) {
  switch (type) {
    case fs::FileType::kDirectory:
      return S_IFDIR;
    case fs::FileType::kRegular:
      return S_IFREG;
    case fs::FileType::kSymlink:
      return S_IFLNK;
  }
  return 0;
}

abi::Attr to_wire(const fs::Attributes& attributes) {
  abi::Attr attr{};
  attr.ino = attributes.inode;
  attr.size = attributes.size;
  attr.blocks = attributes.blocks;
  attr.mtime = static_cast<uint64_t>(attributes.mtime_s);
  attr.mode = mode_bits(attributes.type) | attributes.permissions;
  attr.nlink = attributes.link_count;
  attr.uid = attributes.uid;
  attr.gid = attributes.gid;
  attr.blksize = kBlockBytes;
  return attr;
}

abi::AttrOut to_attr_out(const fs::Attributes& attributes) {
  return {.attr_valid = kForEver_s,
          .attr_valid_nsec = kForEver_ns,
          .dummy = 0,
          .attr = to_wire(attributes)};
}

abi::EntryOut to_entry_out(const fs::Entry& entry) {
  return {.nodeid = entry.node,
          .generation = 0,
          .entry_valid = kForEver_s,
          .attr_valid = kForEver_s,
          .entry_valid_nsec = kForEver_ns,
          .attr_valid_nsec = kForEver_ns,
          .attr = to_wire(entry.attributes)};
}

abi::EntryOut absent_for_ever() {
  abi::EntryOut out{};
  out.entry_valid = kForEver_s;
  out.entry_valid_nsec = kForEver_ns;
  return out;
}

}  // namespace castore::fuse
