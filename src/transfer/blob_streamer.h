// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/context.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "store/blob_service.h"

namespace castore::transfer {

// Stores large blobs from a source that is read in order. Reading the next piece, storing this one
// and whatever else is done with it happen at the same time. Memory: two pieces, whatever the size.
// One thread at a time.
class BlobStreamer {
 public:
  // Fills `out`, less of it only at the end.
  using Read = std::function<Result<size_t>(MutableByteView out)>;
  // Sees each piece, in order, on the calling thread.
  using Observe = std::function<Result<void>(ByteView bytes)>;

  BlobStreamer();

  Result<store::StoredBlob> store(const Context& ctx, store::BlobService& blobs, const Read& read,
                                  const Observe& observe);

  // The same for an open file, whose blocks are shared with the store where both can.
  // `name` stands in messages.
  Result<store::StoredBlob> store_file(const Context& ctx, store::BlobService& blobs, int fd,
                                       std::string_view name, const Observe& observe);

 private:
  Result<store::StoredBlob> store_with(const Context& ctx, store::BlobWriter& writer,
                                       const Read& read, const Observe& observe);

  static constexpr size_t kPieceBytes = size_t{4} << 20;

  MutableByteView piece(size_t i) { return {pieces_[i].get(), kPieceBytes}; }

  std::array<std::unique_ptr<std::byte[]>, 2> pieces_;
  ThreadPool pool_;
};

}  // namespace castore::transfer
