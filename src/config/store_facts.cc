// SPDX-License-Identifier: MIT OR Apache-2.0
#include "config/store_facts.h"

#include <optional>
#include <string_view>

#include "backends/local/large_blob_bytes.h"

namespace castore::config {
namespace {

// Of the local store that the blobs are in; nothing where they are elsewhere.
std::optional<std::string> blob_folder(const ServiceAddresses& addresses) {
  constexpr std::string_view kLocal = "local://";
  if (!addresses.blobs) return addresses.store_folder;
  if (!addresses.blobs->starts_with(kLocal)) return std::nullopt;
  return addresses.blobs->substr(kLocal.size());
}

}  // namespace

Result<StoreFacts> store_facts(const std::string& store_folder) {
  auto store = CASTORE_TRY(backends::LocalStore::open(store_folder, backends::OpenMode::kExisting));
  return store->facts();
}

Result<BlobTotals> blob_totals(const Context& ctx, const ServiceAddresses& addresses) {
  const auto folder = blob_folder(addresses);
  if (!folder) return BlobTotals{};
  StoreFacts facts = CASTORE_TRY(store_facts(*folder));
  return BlobTotals{
      .files = facts.blobs,
      .bytes = facts.pack_bytes + CASTORE_TRY(backends::large_blob_bytes(ctx, *folder))};
}

std::string file_beside_blobs(const ServiceAddresses& addresses) {
  const auto folder = blob_folder(addresses);
  return folder ? backends::format_path(*folder) : std::string();
}

}  // namespace castore::config
