// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/context.h"
#include "base/guarded.h"
#include "base/result.h"
#include "base/single_flight.h"
#include "digest/digest.h"
#include "model/directory.h"
#include "store/directory_service.h"

namespace castore::fs {

// Directories fetched not long ago, shared and never copied. The least recently used go first when
// there are more than `bytes_max`; the last fetched one stays even if it alone is larger, as it is
// about to be asked again. Callers that miss the same directory at the same time fetch it once.
//
//   Threads   any method, any thread. No lock is held while the service is asked.
//   Absence   null, and not remembered: the directory may be put later.
class DirectoryCache {
 public:
  using Entry = std::shared_ptr<const Directory>;

  DirectoryCache(std::shared_ptr<store::DirectoryService> directories, size_t bytes_max);

  Result<Entry> get(const Context& ctx, const Digest& digest);

  // Of what is kept now.
  size_t bytes();

 private:
  using ByUse = std::list<std::pair<Digest, Entry>>;  // latest first
  struct State {
    ByUse by_use;
    std::unordered_map<Digest, ByUse::iterator> by_digest;
    size_t bytes = 0;
  };

  Entry find(const Digest& digest);
  void keep(const Digest& digest, const Entry& directory);

  const std::shared_ptr<store::DirectoryService> directories_;
  const size_t bytes_max_;
  Guarded<State> state_;
  SingleFlight<Digest, Entry> fetches_;
};

}  // namespace castore::fs
