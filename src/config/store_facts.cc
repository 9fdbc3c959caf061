// SPDX-License-Identifier: MIT OR Apache-2.0
#include "config/store_facts.h"

#include <string_view>

#include "backends/local/large_blob_bytes.h"

namespace castore::config {

Result<StoreFacts> store_facts(const std::string& store_folder) {
  auto store = CASTORE_TRY(backends::LocalStore::open(store_folder, backends::OpenMode::kExisting));
  return store->facts();
}

Result<BlobTotals> blob_totals(const Context& ctx, const ServiceAddresses& addresses) {
  constexpr std::string_view kLocal = "local://";
  if (addresses.blobs && !addresses.blobs->starts_with(kLocal)) return BlobTotals{};
  const std::string folder =
      addresses.blobs ? addresses.blobs->substr(kLocal.size()) : addresses.store_folder;
  StoreFacts facts = CASTORE_TRY(store_facts(folder));
  return BlobTotals{
      .files = facts.blobs,
      .bytes = facts.pack_bytes + CASTORE_TRY(backends::large_blob_bytes(ctx, folder))};
}

}  // namespace castore::config
