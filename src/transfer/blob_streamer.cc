// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/blob_streamer.h"

#include <latch>

namespace castore::transfer {

BlobStreamer::BlobStreamer()
    : pieces_{std::make_unique_for_overwrite<std::byte[]>(kPieceBytes),
              std::make_unique_for_overwrite<std::byte[]>(kPieceBytes)},
      pool_("castore-stream", 2, 2) {}

Result<store::StoredBlob> BlobStreamer::store(const Context& ctx, store::BlobService& blobs,
                                              const Read& read, const Observe& observe) {
  auto writer = CASTORE_TRY(blobs.create(ctx));
  size_t turn = 0;
  size_t length = CASTORE_TRY(read(piece(turn)));
  while (length > 0) {
    CASTORE_TRY(ctx.check());
    const ByteView current = piece(turn).first(length);
    const bool more = length == kPieceBytes;
    Result<void> appended;
    Result<size_t> next_length = size_t{0};
    std::latch done(more ? 2 : 1);
    pool_.submit([&] {
      appended = writer->append(current);
      done.count_down();
    });
    if (more)
      pool_.submit([&] {
        next_length = read(piece(1 - turn));
        done.count_down();
      });
    Result<void> observed = observe(current);
    done.wait();
    CASTORE_TRY(std::move(appended));
    CASTORE_TRY(std::move(observed));
    length = CASTORE_TRY(std::move(next_length));
    turn = 1 - turn;
  }
  return writer->commit();
}

}  // namespace castore::transfer
