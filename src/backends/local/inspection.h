// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace castore::backends {

// Something wrong in what a store knows about its objects, beneath the objects themselves.
struct StoreFault {
  std::string object;  // "database /srv/castore/database", "pack 3", "blob blake3-..."
  std::string detail;
};

enum class StoreCondition {
  kSound,
  kDamaged,    // some records are; the rest can be used
  kUnreadable  // the database must not be opened
};

// Reads all of a store's database as it lies on the disk, and compares its records with each other
// and with the packs. Not while this process has the store open.
Result<StoreCondition> inspect_local_store(const std::string& folder,
                                           const std::function<void(StoreFault)>& on_fault);

}  // namespace castore::backends
