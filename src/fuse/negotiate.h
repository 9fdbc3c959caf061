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

// What kernel and server agreed on; for logs and for people.
struct Session {
  uint32_t minor = 0;
  uint64_t offered = 0;  // flags, both halves
  uint64_t agreed = 0;
  uint32_t max_readahead = 0;
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
std::variant<Agreement, AskAgain, Refusal> negotiate(const InitRequest& offer);

}  // namespace castore::fuse
