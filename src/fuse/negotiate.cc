// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/negotiate.h"

#include <algorithm>

namespace castore::fuse {
namespace {

// Readahead and other requests nobody waits for. As many as the field holds: where a store hangs,
// readahead of its files must not use up what files that are at hand need. What is outstanding is
// bounded by the readahead windows of the files that are being read.
constexpr uint16_t kBackgroundMax = 65535;
constexpr uint16_t kCongestionThreshold = 49151;
// Nothing is ever written; the kernel does not take less.
constexpr uint32_t kWriteBytesMax = 4096;

// Owners are nobody's business here, as everybody may read: so mounts that map them may be made of
// this one.
//
// Readdirplus always, not only when the kernel guesses that it pays (kReaddirplusAuto): a walk of a
// cold tree then costs one request a directory.
constexpr uint64_t kWanted = abi::kAsyncRead | abi::kDoReaddirplus | abi::kParallelDirops |
                             abi::kCacheSymlinks | abi::kMaxPages | abi::kInitExt |
                             abi::kAllowIdmap;

uint64_t wanted_with(const Wishes& wishes) {
  uint64_t wanted = kWanted;
  if (wishes.skip_opens) wanted |= abi::kNoOpenSupport;
  if (wishes.skip_folder_opens) wanted |= abi::kNoOpendirSupport;
  if (wishes.passthrough) wanted |= abi::kPassthrough;
  if (wishes.io_uring) wanted |= abi::kOverIoUring;
  return wanted;
}

}  // namespace

std::variant<Agreement, AskAgain, Refusal> negotiate(const InitRequest& offer,
                                                     const Wishes& wishes) {
  abi::InitOut reply{};
  reply.major = abi::kMajor;
  reply.minor = abi::kMinor;
  if (offer.major > abi::kMajor) return AskAgain{reply};
  if (offer.major < abi::kMajor || offer.minor < abi::kMinorMin) return Refusal::kBadVersion;

  uint64_t wanted = wanted_with(wishes);
  if ((offer.flags & wanted & abi::kPassthrough) != 0) wanted &= ~abi::kNoOpenSupport;

  Session session{.minor = std::min(offer.minor, abi::kMinor),
                  .offered = offer.flags,
                  .agreed = offer.flags & wanted,
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
  if (session.has(abi::kMaxPages)) reply.max_pages = kPagesMax;
  // One filesystem may stand on another that way: this one on the store's.
  if (session.has(abi::kPassthrough)) reply.max_stack_depth = 1;
  return Agreement{.session = session, .reply = reply};
}

}  // namespace castore::fuse
