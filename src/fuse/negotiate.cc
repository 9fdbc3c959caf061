// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/negotiate.h"

#include <algorithm>

namespace castore::fuse {
namespace {

// Readahead and other requests nobody waits for: enough to keep every thread busy, few enough that
// a slow store does not tie up the machine's pages.
constexpr uint16_t kBackgroundMax = 256;
constexpr uint16_t kCongestionThreshold = 192;
// Nothing is ever written; the kernel does not take less.
constexpr uint32_t kWriteBytesMax = 4096;

// Readdirplus always, not only when the kernel guesses that it pays (kReaddirplusAuto): a walk of a
// cold tree then costs one request a directory.
constexpr uint64_t kWanted = abi::kAsyncRead | abi::kDoReaddirplus | abi::kParallelDirops |
                             abi::kCacheSymlinks | abi::kMaxPages | abi::kInitExt;

}  // namespace

std::variant<Agreement, AskAgain, Refusal> negotiate(const InitRequest& offer) {
  abi::InitOut reply{};
  reply.major = abi::kMajor;
  reply.minor = abi::kMinor;
  if (offer.major > abi::kMajor) return AskAgain{reply};
  if (offer.major < abi::kMajor || offer.minor < abi::kMinorMin) return Refusal::kBadVersion;

  Session session{.minor = std::min(offer.minor, abi::kMinor),
                  .offered = offer.flags,
                  .agreed = offer.flags & kWanted,
                  .max_readahead = offer.max_readahead};
  reply.minor = session.minor;
  reply.max_readahead = session.max_readahead;
  reply.flags = static_cast<uint32_t>(session.agreed);
  // Read by the kernel only if kInitExt was agreed on, as is right for flags it offered that way.
  reply.flags2 = static_cast<uint32_t>(session.agreed >> 32);
  reply.max_background = kBackgroundMax;
  reply.congestion_threshold = kCongestionThreshold;
  reply.max_write = kWriteBytesMax;
  reply.time_gran = 1;
  if ((session.agreed & abi::kMaxPages) != 0) reply.max_pages = kPagesMax;
  return Agreement{.session = session, .reply = reply};
}

}  // namespace castore::fuse
