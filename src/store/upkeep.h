// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <variant>

#include "base/context.h"
#include "base/result.h"
#include "digest/digest.h"
#include "nix/store_path.h"

namespace castore::store {

// An object by its kind and name.
struct BlobName {
  Digest digest;
};
struct DirectoryName {
  Digest digest;
};
using ObjectName = std::variant<BlobName, DirectoryName, nix::StorePathDigest>;

// What a store can do for itself when it was damaged.
//
//   Threads  any method, any thread.
class Upkeep {
 public:
  virtual ~Upkeep() = default;

  // Forgets the damaged objects, which count as absent from then on, so that storing them again
  // stores them anew; puts right what the store knows about itself; and forgets what earlier
  // imports read, so that the next one reads it again. Durable when it returns. Waits until nobody
  // stores anything, and looks at each object once more: one that was stored again meanwhile stays.
  // Gives how many were forgotten.
  virtual Result<uint64_t> repair(const Context& ctx, std::span<const ObjectName> damaged) = 0;
};

}  // namespace castore::store
