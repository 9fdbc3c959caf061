// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "fs/blob_cache.h"
#include "fs/directory_cache.h"
#include "fs/rate_limit.h"
#include "store/blob_service.h"
#include "store/directory_service.h"

namespace castore::fs {

// What was fetched from a store not long ago, for one filesystem or for several that show it to
// different kernels. Content is named by its digest and compared with it, so nobody can tell by it,
// nor has to care, who fetched it; what a filesystem knows of its kernel is not in here.
//
//   Threads  any method, any thread.
//   Memory   within the limits, however many share it. What handles hold counts with their owners.
class ContentCache {
 public:
  struct Options {
    size_t directory_bytes = size_t{64} << 20;
    // Of those that would crowd out the others (see DirectoryCache). One takes 68 MiB at most
    // (model/limits.h), so that three of the largest can be used in turn.
    size_t large_directory_bytes = size_t{256} << 20;
    size_t blob_bytes = size_t{32} << 20;  // of blobs that are read without having been opened
    // A kernel keeps what it has read, so that a blob it has read to the end is let go, unless
    // other kernels may come for it.
    bool several_kernels = false;
  };

  ContentCache(std::shared_ptr<store::BlobService> blobs_in,
               std::shared_ptr<store::DirectoryService> directories_in, const Options& options_in)
      : options(options_in),
        directories(std::move(directories_in), options_in.directory_bytes,
                    options_in.large_directory_bytes),
        blobs(std::move(blobs_in), options_in.blob_bytes) {}
  ContentCache(const ContentCache&) = delete;
  ContentCache& operator=(const ContentCache&) = delete;

  // A filesystem's share, as long as that lives. The last one that goes leaves an empty cache.
  class Share {
   public:
    explicit Share(std::shared_ptr<ContentCache> cache) : cache_(std::move(cache)) {
      ++cache_->shares_;
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() {
      if (--cache_->shares_ == 0) cache_->clear();
    }

    ContentCache* operator->() const { return cache_.get(); }

   private:
    const std::shared_ptr<ContentCache> cache_;
  };

  // For a filesystem whose kernel has forgotten nearly all: gives memory back to the system, where
  // that is worth the work and no other filesystem may need what is kept. At most once a second, as
  // a kernel may forget one node again and again whose directory is needed each time. Cheap where
  // nothing is done.
  void give_back_unshared(RateLimit::Clock::time_point now);

  const Options options;
  DirectoryCache directories;
  BlobCache blobs;

 private:
  void clear();
  bool is_worth_the_work();

  std::atomic<size_t> shares_ = 0;
  RateLimit giving_back_{1};
};

}  // namespace castore::fs
