// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/inode_numbers.h"

#include <gtest/gtest.h>

#include <set>

#include "digest/blake3.h"

namespace castore::fs {
namespace {

TEST(InodeNumbers, DoNotChangeBetweenVersions) {
  // Backup tools remember these between runs: changing the derivation makes them see new files.
  Digest content = blake3("content");
  EXPECT_EQ(inode_number(FileType::kDirectory, false, content), 0xd6d67ee19eb8ac45u);
  EXPECT_EQ(inode_number(FileType::kRegular, false, content), 0x1c0616707e7fc582u);
  EXPECT_EQ(inode_number(FileType::kRegular, true, content), 0x9032622babca11aeu);
  EXPECT_EQ(inode_number(FileType::kSymlink, false, content), 0x4fbb93a20adab590u);
}

TEST(InodeNumbers, DifferForKindsOfOneDigest) {
  Digest empty = blake3("");
  std::set<uint64_t> numbers = {
      inode_number(FileType::kDirectory, false, empty),
      inode_number(FileType::kRegular, false, empty),
      inode_number(FileType::kRegular, true, empty),
      inode_number(FileType::kSymlink, false, empty),
  };
  EXPECT_EQ(numbers.size(), 4u);
}

// A digest whose first eight bytes give `number` for a directory.
Digest digest_giving(uint64_t number) {
  uint64_t salt = inode_number(FileType::kDirectory, false, Digest());
  std::array<std::byte, Digest::kBytes> bytes{};
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>((number ^ salt) >> (8 * i));
  return Digest(bytes);
}

TEST(InodeNumbers, AreNeverZeroNorThatOfTheRoot) {
  EXPECT_EQ(inode_number(FileType::kDirectory, false, digest_giving(2)), 2u);
  EXPECT_GT(inode_number(FileType::kDirectory, false, digest_giving(0)), kRootInodeNumber);
  EXPECT_GT(inode_number(FileType::kDirectory, false, digest_giving(1)), kRootInodeNumber);
}

}  // namespace
}  // namespace castore::fs
