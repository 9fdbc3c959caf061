// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/blob_cache.h"

#include <algorithm>
#include <utility>

namespace castore::fs {

namespace {

size_t weight_of(const OpenBlob& blob) {
  return blob.bytes() + (blob.in_memory ? 0 : BlobCache::kBytesPerDescriptor);
}

}  // namespace

size_t OpenBlob::bytes() const {
  constexpr size_t kFixed = 512;
  return kFixed + (in_memory ? in_memory->size() : 0);
}

Result<void> OpenBlob::read_exactly(const Context& ctx, uint64_t offset,
                                    MutableByteView out) const {
  size_t n = CASTORE_TRY(reader->read_at(ctx, offset, out));
  if (n != out.size()) return fail(ErrorKind::kCorrupt, "only {} bytes came", n);
  return {};
}

BlobCache::BlobCache(std::shared_ptr<store::BlobService> blobs, size_t bytes_max)
    : blobs_(std::move(blobs)), cache_({.weight_max = bytes_max}, weight_of) {}

Result<BlobCache::Entry> BlobCache::get(const Context& ctx, const Digest& digest, uint64_t size) {
  Entry blob = CASTORE_TRY(cache_.get(ctx, digest, [&]() -> Result<Entry> {
    auto reader = CASTORE_TRY(blobs_->open(ctx, digest));
    if (!reader) return nullptr;
    auto open = std::make_shared<OpenBlob>();
    open->in_memory = reader->in_memory();
    open->file = reader->file();
    open->digest = digest;
    open->size = open->in_memory ? open->in_memory->size() : reader->size();
    open->reader = std::move(reader);
    return open;
  }));
  // Asked of each caller: a digest may stand in several directories, with different sizes.
  if (blob && blob->size != size)
    return fail(ErrorKind::kCorrupt, "it has {} bytes, and its directory says {}", blob->size,
                size);
  return blob;
}

}  // namespace castore::fs
