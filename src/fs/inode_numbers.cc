// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/inode_numbers.h"

#include <cstddef>

namespace castore::fs {
namespace {

uint64_t little_endian_at(const Digest& digest, size_t offset) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof value; ++i)
    value |= std::to_integer<uint64_t>(digest.bytes()[offset + i]) << (8 * i);
  return value;
}

// Keeps kinds apart where the digest is the same: the empty file and the empty directory, a file
// with and without its executable bit. Any different numbers do; these have no pattern in common
// with each other.
uint64_t salt_of(FileType type, bool executable) {
  switch (type) {
    case FileType::kDirectory:
      return 0x8f14e45fceea167a;
    case FileType::kRegular:
      return executable ? 0xc9f0f895fb98ab91 : 0x45c48cce2e2d7fbd;
    case FileType::kSymlink:
      break;
  }
  return 0x1679091c5a880faf;
}

}  // namespace

uint64_t inode_number(FileType type, bool executable, const Digest& content) {
  const uint64_t salt = salt_of(type, executable);
  for (size_t offset = 0; offset < Digest::kBytes; offset += sizeof(uint64_t)) {
    uint64_t number = little_endian_at(content, offset) ^ salt;
    if (number > kRootInodeNumber) return number;
  }
  return salt;
}

}  // namespace castore::fs
