// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <variant>

#include "fuse/abi.h"
#include "fuse/errno_of.h"
#include "fuse/request.h"

namespace castore::fuse {

// The largest READ the kernel is allowed to send, and so the scratch space one request needs.
inline constexpr uint16_t kPagesMax = 256;
inline constexpr size_t kReadBytesMax = size_t{kPagesMax} * 4096;

// What a server would use beyond what is always of use.
struct Wishes {
  // Files are opened in the kernel, without asking; and so are folders.
  bool skip_opens = false;
  bool skip_folder_opens = false;
  // Opened files may be read by the kernel itself, from a file of this machine. It has to be told
  // at each open: where this is agreed on, opens are not skipped.
  bool passthrough = false;
  // Requests travel in shared memory rather than through read(2) and write(2).
  bool io_uring = false;
};

// What kernel and server agreed on; for logs and for people.
struct Session {
  uint32_t minor = 0;
  uint64_t offered = 0;  // flags, both halves
  uint64_t agreed = 0;
  uint32_t max_readahead = 0;

  bool has(uint64_t flag) const { return (agreed & flag) != 0; }
};

// The answer to INIT.
struct Agreement {
  Session session;
  abi::InitOut reply;
};
// The kernel speaks a newer major version: it is told ours, and will ask again.
struct AskAgain {
  abi::InitOut reply;
};

// Decides what a mount uses of what the kernel offers. Depends on nothing else.
std::variant<Agreement, AskAgain, Refusal> negotiate(const InitRequest& offer,
                                                     const Wishes& wishes);

}  // namespace castore::fuse
