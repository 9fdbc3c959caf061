// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "backends/local/blob_files.h"
#include "backends/local/database.h"
#include "backends/local/pack_files.h"
#include "backends/local/write_queue.h"
#include "base/thread_pool.h"
#include "store/services.h"

// What the services of one local store share. The store's threads: one writer (WriteQueue) and the
// hashing pool, used by writers of large blobs.
namespace castore::backends::local {

struct LocalState {
  LocalState(std::string folder_, std::unique_ptr<Database> database_, const Tuning& tuning)
      : folder(std::move(folder_)),
        database(std::move(database_)),
        files(folder, tuning),
        packs(folder),
        hashing("store-hash", cpu_count(), 1024),
        queue(*database, files, PackWriter(folder, *database, tuning), tuning) {}

  std::string folder;
  UniqueFd writers_lock;  // see format.h; while the store is open for storing
  std::unique_ptr<Database> database;
  BlobFiles files;
  PackReader packs;
  ThreadPool hashing;
  WriteQueue queue;  // last: its thread uses the others
};

// Each keeps the store alive.
std::shared_ptr<store::BlobService> make_blob_service(std::shared_ptr<LocalState> state);
std::shared_ptr<store::DirectoryService> make_directory_service(std::shared_ptr<LocalState> state);
std::shared_ptr<store::PathInfoService> make_path_info_service(std::shared_ptr<LocalState> state);
std::shared_ptr<store::ImportCache> make_import_cache(std::shared_ptr<LocalState> state);
std::shared_ptr<store::Upkeep> make_upkeep(std::shared_ptr<LocalState> state);

// How many keys a listing takes out of the database at a time: a snapshot must not live as long as
// the visitor takes.
inline constexpr size_t kScanCount = 4096;

// Visits all keys of a table, in order, some at a time. `visit` gets a copy of key and value that
// lives for the call.
template <typename Visit>
Result<void> scan_all(const Context& ctx, Database& database, Table table, Visit visit) {
  std::optional<std::string> after;
  for (;;) {
    CASTORE_TRY(ctx.check());
    std::vector<std::pair<std::string, std::string>> pairs;
    {
      Database::Reader reader = CASTORE_TRY(database.read());
      auto found = CASTORE_TRY(
          reader.scan(table, after ? std::optional(bytes_of(*after)) : std::nullopt, kScanCount));
      pairs.reserve(found.size());
      for (const auto& [key, value] : found) pairs.emplace_back(text_of(key), text_of(value));
    }
    for (const auto& [key, value] : pairs) CASTORE_TRY(visit(bytes_of(key), bytes_of(value)));
    if (pairs.size() < kScanCount) return {};
    after = std::move(pairs.back().first);
  }
}

}  // namespace castore::backends::local
