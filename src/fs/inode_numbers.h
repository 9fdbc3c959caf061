// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>

#include "digest/digest.h"
#include "fs/filesystem.h"

namespace castore::fs {

inline constexpr uint64_t kRootInodeNumber = 1;

// The st_ino of a node, derived from what it is: the same on every mount of every machine, and the
// same for equal content wherever it stands. `content` is the digest of the file or directory, or
// the BLAKE3 of the symlink's target. Never 0 (which tools take for a deleted entry) or 1.
//
// Two different contents get one number with a chance of about n*n / 2^65 among n. Nothing in the
// filesystem goes by these numbers, so all that happens is that tools which compare them see two
// files of one number and link count 1, which they do not take for hard links, or two directories
// of one number, which they take for a loop only when one stands inside the other.
uint64_t inode_number(FileType type, bool executable, const Digest& content);

}  // namespace castore::fs
