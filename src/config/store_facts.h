// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "backends/local/local_store.h"
#include "base/context.h"
#include "base/result.h"
#include "config/open_services.h"

namespace castore::config {

using StoreFacts = backends::LocalStoreFacts;

// What all the blobs of a store are, for who asks a mount of it how much it shows.
struct BlobTotals {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

// Of the local store that the blobs are in; nothing where they are elsewhere. Takes time where
// there are many large ones; `ctx` ends it before.
Result<BlobTotals> blob_totals(const Context& ctx, const ServiceAddresses& addresses);

// A file beside the blobs, on the disk that they are on; empty where they are on none.
std::string file_beside_blobs(const ServiceAddresses& addresses);

// What is in the store folder. kNotFound when there is no store.
Result<StoreFacts> store_facts(const std::string& store_folder);

}  // namespace castore::config
