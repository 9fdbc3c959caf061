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
                               size_t bytes_max)
    : directories_(std::move(directories)), bytes_max_(bytes_max) {}

Result<DirectoryCache::Entry> DirectoryCache::get(const Context& ctx, const Digest& digest) {
  if (Entry directory = find(digest)) return directory;
  return fetches_.run(ctx, digest, [&]() -> Result<Entry> {
    // Another fetch may have ended between the look above and now.
    if (Entry directory = find(digest)) return directory;
    Entry directory = CASTORE_TRY(directories_->get(ctx, digest));
    if (directory) keep(digest, directory);
    return directory;
  });
}

size_t DirectoryCache::bytes() {
  return state_.lock()->bytes;
}

DirectoryCache::Entry DirectoryCache::find(const Digest& digest) {
  auto state = state_.lock();
  auto found = state->by_digest.find(digest);
  if (found == state->by_digest.end()) return nullptr;
  state->by_use.splice(state->by_use.begin(), state->by_use, found->second);
  return found->second->second;
}

void DirectoryCache::keep(const Digest& digest, const Entry& directory) {
  ByUse dropped;  // destroyed without the lock: freeing a large directory takes a while
  auto state = state_.lock();
  if (state->by_digest.contains(digest)) return;
  state->by_use.emplace_front(digest, directory);
  state->by_digest.emplace(digest, state->by_use.begin());
  state->bytes += memory_of(*directory);
  while (state->bytes > bytes_max_ && state->by_use.size() > 1) {
    auto oldest = std::prev(state->by_use.end());
    state->bytes -= memory_of(*oldest->second);
    state->by_digest.erase(oldest->first);
    dropped.splice(dropped.end(), state->by_use, oldest);
  }
}

}  // namespace castore::fs
