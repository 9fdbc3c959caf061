// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/directory_cache.h"

#include <cstdint>

namespace castore::fs {
namespace {

// The encoding, its index, and what keeps them.
size_t memory_of(const Directory& directory) {
  constexpr size_t kFixed = 256;
  return kFixed + directory.encoded().size() + directory.entry_count() * sizeof(uint32_t);
}

}  // namespace

DirectoryCache::DirectoryCache(std::shared_ptr<store::DirectoryService> directories,
                               size_t bytes_max, size_t large_bytes_max)
    : directories_(std::move(directories)),
      cache_({.weight_max = bytes_max,
              .heavy_from = bytes_max / 8,
              .heavy_weight_max = large_bytes_max},
             memory_of) {}

Result<DirectoryCache::Entry> DirectoryCache::get(const Context& ctx, const Digest& digest) {
  return cache_.get(ctx, digest, [&] { return directories_->get(ctx, digest); });
}

}  // namespace castore::fs
