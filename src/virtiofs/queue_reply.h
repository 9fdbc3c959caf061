// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "fuse/reply.h"
#include "virtiofs/live_ring.h"

namespace castore::virtiofs {

// The way back of one request: writes its answer into the guest's buffers and returns those to the
// guest. If it is destroyed without having sent, as for a request that has no answer, the buffers
// go back with nothing written.
class QueueReply final : public fuse::ReplySink {
 public:
  // `unique` is the request's number, as far as it has one.
  QueueReply(std::shared_ptr<LiveRing> ring, LiveRing::Taken taken,
             std::vector<MutableByteView> writable, uint64_t unique);
  QueueReply(const QueueReply&) = delete;
  QueueReply& operator=(const QueueReply&) = delete;
  ~QueueReply() override;

  size_t bytes_max() const override { return bytes_max_; }
  bool send(std::span<const ByteView> pieces) override;
  std::unique_ptr<fuse::ReplySink> keep() override;

 private:
  std::shared_ptr<LiveRing> ring_;
  std::optional<LiveRing::Taken> taken_;  // until it is answered, or handed on
  std::vector<MutableByteView> writable_;
  size_t bytes_max_ = 0;
  uint64_t unique_;
  bool is_kept_ = false;
};

}  // namespace castore::virtiofs
