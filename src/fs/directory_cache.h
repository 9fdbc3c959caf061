// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "base/context.h"
#include "base/result.h"
#include "digest/digest.h"
#include "fs/fetch_cache.h"
#include "model/directory.h"
#include "store/directory_service.h"

namespace castore::fs {

// Directories fetched not long ago, as FetchCache has it: of at most `bytes_max` together, and
// beside them of at most `large_bytes_max` those that alone would take an eighth of that and more.
class DirectoryCache {
 public:
  using Entry = std::shared_ptr<const Directory>;

  DirectoryCache(std::shared_ptr<store::DirectoryService> directories, size_t bytes_max,
                 size_t large_bytes_max);

  // Null when the service does not have it.
  Result<Entry> get(const Context& ctx, const Digest& digest);

  void clear() { cache_.clear(); }

  // Of what is kept now.
  size_t bytes() { return cache_.weight(); }
  CacheUse use() { return cache_.use(); }

 private:
  const std::shared_ptr<store::DirectoryService> directories_;
  FetchCache<Digest, Directory> cache_;
};

}  // namespace castore::fs
