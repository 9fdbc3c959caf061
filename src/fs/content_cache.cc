// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/content_cache.h"

#include <malloc.h>

namespace castore::fs {
namespace {

constexpr size_t kBytesWorthTheWork = size_t{1} << 20;

}  // namespace

// Clearing needs no lock against a filesystem that comes meanwhile: that fetches again.
void ContentCache::clear() {
  const bool worth_the_work = is_worth_the_work();
  directories.clear();
  blobs.clear();
  if (worth_the_work) ::malloc_trim(0);  // what the heap keeps of it
}

void ContentCache::give_back_unshared(RateLimit::Clock::time_point now) {
  if (shares_ == 1 && is_worth_the_work() && giving_back_.allow(now)) clear();
}

bool ContentCache::is_worth_the_work() {
  return directories.bytes() + blobs.bytes() >= kBytesWorthTheWork;
}

}  // namespace castore::fs
