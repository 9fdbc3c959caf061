// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/queue_reply.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace castore::virtiofs {
namespace {

// Copies the pieces one after the other into the buffers; gives the bytes copied.
size_t scatter(std::span<const ByteView> pieces, std::span<const MutableByteView> buffers) {
  size_t copied = 0;
  auto buffer = buffers.begin();
  size_t filled = 0;  // of *buffer
  for (ByteView piece : pieces) {
    while (!piece.empty() && buffer != buffers.end()) {
      const size_t n = std::min(piece.size(), buffer->size() - filled);
      std::memcpy(buffer->data() + filled, piece.data(), n);
      piece = piece.subspan(n);
      copied += n;
      filled += n;
      if (filled == buffer->size()) {
        ++buffer;
        filled = 0;
      }
    }
  }
  return copied;
}

}  // namespace

QueueReply::QueueReply(std::shared_ptr<LiveRing> ring, LiveRing::Taken taken,
                       std::vector<MutableByteView> writable, uint64_t unique)
    : ring_(std::move(ring)),
      taken_(std::move(taken)),
      writable_(std::move(writable)),
      unique_(unique) {
  for (MutableByteView buffer : writable_) bytes_max_ += buffer.size();
}

QueueReply::~QueueReply() {
  if (taken_) send({});
}

bool QueueReply::send(std::span<const ByteView> pieces) {
  auto taken = std::exchange(taken_, std::nullopt);
  if (is_kept_) ring_->remove_kept(unique_);
  if (!taken || !ring_->begin_answer(taken->epoch)) return false;
  const size_t written = scatter(pieces, writable_);
  ring_->end_answer(*taken, static_cast<uint32_t>(written));
  return true;
}

std::unique_ptr<fuse::ReplySink> QueueReply::keep() {
  auto kept = std::make_unique<QueueReply>(ring_, *std::exchange(taken_, std::nullopt),
                                           std::move(writable_), unique_);
  kept->is_kept_ = true;
  ring_->add_kept(unique_);
  return kept;
}

}  // namespace castore::virtiofs
