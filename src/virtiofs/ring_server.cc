// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/ring_server.h"

#include <cstring>
#include <utility>

#include "fuse/abi.h"
#include "fuse/negotiate.h"
#include "virtiofs/queue_reply.h"

namespace castore::virtiofs {

RingServer::RingServer(std::shared_ptr<RequestServer> server, std::shared_ptr<LiveRing> ring,
                       bool indirect)
    : server_(std::move(server)),
      ring_(std::move(ring)),
      indirect_(indirect),
      // Memory that is never touched costs nothing.
      request_(std::make_unique_for_overwrite<std::byte[]>(kRequestBytesMax)),
      scratch_(std::make_unique_for_overwrite<std::byte[]>(fuse::kReadBytesMax)) {}

Result<void> RingServer::serve_available(const std::atomic<bool>& stopping) {
  auto served = take_and_serve(stopping);
  // A request that could not be read is never answered, and must not be waited for.
  if (!served) ring_->end();
  return served;
}

Result<void> RingServer::take_and_serve(const std::atomic<bool>& stopping) {
  do {
    while (!stopping.load(std::memory_order_relaxed)) {
      auto taken = CASTORE_TRY(ring_->take());
      if (!taken) break;
      CASTORE_TRY(serve(std::move(*taken)));
    }
  } while (!stopping.load(std::memory_order_relaxed) && ring_->want_notifications());
  return {};
}

Result<void> RingServer::serve(LiveRing::Taken taken) {
  const auto memory = taken.memory;
  CASTORE_TRY(read_chain(taken.descriptors, taken.head, indirect_, *memory, chain_));
  const ByteView request(request_.get(), copy_request(chain_, {request_.get(), kRequestBytesMax}));
  if (memory->lost())
    return fail(ErrorKind::kInvalidArgument, "the front end took away the guest's memory");
  uint64_t unique = 0;
  if (request.size() >= sizeof(fuse::abi::InHeader))
    std::memcpy(&unique, request.data() + offsetof(fuse::abi::InHeader, unique), sizeof unique);
  QueueReply reply(ring_, std::move(taken), chain_.writable, unique);
  server_->serve(request, reply, {scratch_.get(), fuse::kReadBytesMax});
  return {};
}

}  // namespace castore::virtiofs
