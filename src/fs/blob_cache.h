// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/context.h"
#include "base/result.h"
#include "digest/digest.h"
#include "fs/fetch_cache.h"
#include "store/blob_service.h"

namespace castore::fs {

// A blob that can be read.
struct OpenBlob {
  std::unique_ptr<store::BlobReader> reader;
  std::optional<Bytes> in_memory;  // the whole content, where the reader has it
  std::optional<int> file;         // as BlobReader::file
  Digest digest;
  uint64_t size = 0;

  // Exactly `out.size()` bytes at `offset`, all within the blob.
  Result<void> read_exactly(const Context& ctx, uint64_t offset, MutableByteView out) const;

  // In memory for it.
  size_t bytes() const;
};

// Blobs read not long ago, so that a file can be read without having been opened: as FetchCache has
// it, within `bytes_max` of memory and a number of descriptors that goes with it (one for each
// kBytesPerDescriptor).
class BlobCache {
 public:
  using Entry = std::shared_ptr<const OpenBlob>;
  static constexpr size_t kBytesPerDescriptor = size_t{256} << 10;

  BlobCache(std::shared_ptr<store::BlobService> blobs, size_t bytes_max);

  // Null when the service does not have it. kCorrupt when it is not `size` bytes long: the kernel
  // goes by the size it was told, so such a blob cannot be shown.
  Result<Entry> get(const Context& ctx, const Digest& digest, uint64_t size);
  void drop(const Digest& digest) { cache_.drop(digest); }

  void clear() { cache_.clear(); }

  // Of what is kept now, a descriptor counted as above.
  size_t bytes() { return cache_.weight(); }
  CacheUse use() { return cache_.use(); }

 private:
  const std::shared_ptr<store::BlobService> blobs_;
  FetchCache<Digest, OpenBlob> cache_;
};

}  // namespace castore::fs
