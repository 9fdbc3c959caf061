// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "fs/filesystem.h"

namespace castore::fuse {

// Why the protocol layer itself answers no, without asking the filesystem.
enum class Refusal {
  kMalformed,       // the request's bytes are not what its opcode says
  kTooLarge,        // more is asked for than fits an answer
  kTooMany,         // it would hold more nodes or handles than it may
  kNotImplemented,  // the kernel need not ask again: it has its own way
  kReadOnly,        // it would change something
  kNoSuchControl,   // ioctl
  kNotInitialised,  // anything before INIT, and a second INIT
  kBadVersion,      // INIT from a kernel that is too old
};

// The numbers that the kernel is told; nothing else of the protocol layer knows errno.
int errno_of(fs::Fault fault);
int errno_of(Refusal refusal);

}  // namespace castore::fuse
