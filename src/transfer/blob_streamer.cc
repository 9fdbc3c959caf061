// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/blob_streamer.h"

#include <latch>

#include "base/file.h"

namespace castore::transfer {

BlobStreamer::BlobStreamer()
    : pieces_{std::make_unique_for_overwrite<std::byte[]>(kPieceBytes),
              std::make_unique_for_overwrite<std::byte[]>(kPieceBytes)},
      pool_("castore-stream", 2, 2) {}

Result<store::StoredBlob> BlobStreamer::store(const Context& ctx, store::BlobService& blobs,
                                              const Read& read, const Observe& observe) {
  auto writer = CASTORE_TRY(blobs.create(ctx));
  return store_with(ctx, *writer, read, observe);
}

Result<store::StoredBlob> BlobStreamer::store_file(const Context& ctx, store::BlobService& blobs,
                                                   int fd, std::string_view name,
                                                   const Observe& observe) {
  auto writer = CASTORE_TRY(blobs.create(ctx));
  // What is shared does not change under the reader any more.
  const int source = CASTORE_TRY(writer->share_blocks_of(fd)).value_or(fd);
  uint64_t offset = 0;
  auto read = [&](MutableByteView out) -> Result<size_t> {
    const size_t length = CASTORE_TRY(read_at(source, offset, out, name));
    offset += length;
    return length;
  };
  return store_with(ctx, *writer, read, observe);
}

Result<store::StoredBlob> BlobStreamer::store_with(const Context& ctx, store::BlobWriter& writer,
                                                   const Read& read, const Observe& observe) {
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
      appended = writer.append(current);
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
  return writer.commit();
}

}  // namespace castore::transfer
