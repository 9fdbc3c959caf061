// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "fuse/reply.h"
#include "virtiofs/chain.h"
#include "virtiofs/live_ring.h"

namespace castore::virtiofs {

// The longest request that is looked at. What makes sense is far shorter (a name, an attribute's
// value of 64 KiB): of a longer one the beginning is served, which is then found malformed.
inline constexpr size_t kRequestBytesMax = 128 * 1024;

// What the requests of queues are served by.
class RequestServer {
 public:
  virtual ~RequestServer() = default;
  virtual void serve(ByteView request, fuse::ReplySink& sink, MutableByteView scratch) = 0;
  // Asks that the request of this number, which is to be answered later, be answered now.
  virtual void interrupt(uint64_t unique) = 0;
  // The guest broke a queue, which nobody serves any more.
  virtual void queue_failed(Error error) = 0;
};

// Takes what a ring has available, and has it served.
//
// A request is copied out of guest memory before it is looked at, since the guest can change it at
// any time.
//
// One thread at a time.
class RingServer {
 public:
  // `indirect`: kRingIndirectDesc was agreed on.
  RingServer(std::shared_ptr<RequestServer> server, std::shared_ptr<LiveRing> ring, bool indirect);

  // Until nothing is available, or `stopping` is set, which is looked at before each request.
  // kInvalidArgument: the guest broke the ring, which is ended, as no more will come of it.
  Result<void> serve_available(const std::atomic<bool>& stopping);

  RequestServer& server() const { return *server_; }

 private:
  Result<void> take_and_serve(const std::atomic<bool>& stopping);
  Result<void> serve(LiveRing::Taken taken);

  const std::shared_ptr<RequestServer> server_;
  const std::shared_ptr<LiveRing> ring_;
  const bool indirect_;
  Chain chain_;
  std::unique_ptr<std::byte[]> request_;
  std::unique_ptr<std::byte[]> scratch_;
};

}  // namespace castore::virtiofs
