// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/blob_service.h"

#include <algorithm>
#include <vector>

#include "digest/blake3.h"

namespace castore::store {
namespace {

constexpr size_t kStepBytes = size_t{1} << 20;

std::unexpected<Error> mismatch(const Digest& expected, const Digest& actual) {
  return fail(ErrorKind::kCorrupt, "blob {}: its stored bytes hash to {}", expected, actual);
}

std::unexpected<Error> cut_short(const Digest& digest, uint64_t offset, uint64_t size) {
  return fail(ErrorKind::kCorrupt, "blob {}: ends after {} of {} bytes", digest, offset, size);
}

}  // namespace

Result<std::optional<Bytes>> read_blob(const Context& ctx, BlobService& blobs, const Digest& digest,
                                       uint64_t size_max) {
  auto reader = CASTORE_TRY(blobs.open(ctx, digest));
  if (!reader) return std::nullopt;
  if (reader->size() > size_max)
    return fail(ErrorKind::kExhausted, "blob {} has {} bytes; at most {} were expected", digest,
                reader->size(), size_max);
  if (auto bytes = reader->in_memory()) return bytes;
  std::vector<std::byte> buffer(static_cast<size_t>(reader->size()));
  size_t n = CASTORE_TRY(reader->read_at(ctx, 0, buffer));
  if (n != buffer.size()) return cut_short(digest, n, buffer.size());
  if (!reader->verified())
    if (Digest actual = blake3(buffer); actual != digest) return mismatch(digest, actual);
  return Bytes::take(std::move(buffer));
}

Result<bool> stream_blob(const Context& ctx, BlobService& blobs, const Digest& digest,
                         const std::function<Result<void>(ByteView)>& consume) {
  auto reader = CASTORE_TRY(blobs.open(ctx, digest));
  if (!reader) return false;
  if (auto bytes = reader->in_memory()) {
    CASTORE_TRY(consume(bytes->view()));
    return true;
  }
  Blake3Hasher hasher;
  const bool verify = !reader->verified();
  std::vector<std::byte> buffer(
      static_cast<size_t>(std::min<uint64_t>(reader->size(), kStepBytes)));
  for (uint64_t offset = 0; offset < reader->size();) {
    CASTORE_TRY(ctx.check());
    size_t n = CASTORE_TRY(reader->read_at(ctx, offset, buffer));
    if (n == 0) return cut_short(digest, offset, reader->size());
    ByteView step = ByteView(buffer).first(n);
    if (verify) hasher.update(step);
    CASTORE_TRY(consume(step));
    offset += n;
  }
  if (verify)
    if (Digest actual = hasher.finish(); actual != digest) return mismatch(digest, actual);
  return true;
}

}  // namespace castore::store
