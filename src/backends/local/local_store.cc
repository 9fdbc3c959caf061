// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/local_store.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <map>
#include <utility>

#include "backends/local/format.h"
#include "backends/local/local_state.h"
#include "backends/local/records.h"
#include "backends/local/tuning.h"

namespace castore::backends {
namespace {

// LMDB must not be opened twice in one process (its file locks belong to the process). The stores
// that are open are therefore known here, by device and inode of their folder. An entry goes when
// its store has been closed; one that is empty is being closed just now.
using FolderId = std::pair<dev_t, ino_t>;
struct OpenStores {
  Guarded<std::map<FolderId, std::weak_ptr<local::LocalState>>> stores;
  std::condition_variable closed;
};
OpenStores& open_stores() {
  static OpenStores open;
  return open;
}

// Whether `folder` may be written to; kDenied and a read-only medium are answers.
bool is_writable(const std::string& folder) {
  return ::access(folder.c_str(), W_OK) == 0 &&
         ::access(local::database_path(folder).c_str(), W_OK) == 0;
}

Result<std::unique_ptr<local::LocalState>> open_state(const std::string& folder, OpenMode mode,
                                                      const local::Tuning& tuning) {
  bool for_reading = mode == OpenMode::kExisting && !is_writable(folder);
  UniqueFd lock;
  if (mode == OpenMode::kCreate) {
    lock = CASTORE_TRY(local::open_store_lock(folder));
    CASTORE_TRY(local::lock_store(lock, local::StoreLock::kShared));
  }
  auto database = CASTORE_TRY(local::Database::open(
      local::database_path(folder),
      for_reading ? local::Database::Access::kRead : local::Database::Access::kWrite));
  auto state = std::make_unique<local::LocalState>(folder, std::move(database), tuning);
  state->writers_lock = std::move(lock);
  if (!for_reading) CASTORE_TRY(state->files.prepare());
  return state;
}

}  // namespace

std::string reader_lock_path(const std::string& folder) {
  return local::database_path(folder) + "-lock";
}

std::string format_path(const std::string& folder) {
  return folder + "/format";
}

Result<std::shared_ptr<LocalStore>> LocalStore::open(const std::string& folder, OpenMode mode) {
  return open(folder, mode, local::Tuning());
}

Result<std::shared_ptr<LocalStore>> LocalStore::open(const std::string& given, OpenMode mode,
                                                     const local::Tuning& tuning) {
  const std::string folder = local::without_trailing_slashes(given);
  std::string doing = fmt::format("opening the store {}", folder);
  CASTORE_TRY_WHILE(local::prepare_folder(folder, mode), "{}", doing);
  struct stat status;
  if (::stat(folder.c_str(), &status) != 0) return fail_errno(errno, "{}", doing);
  const FolderId id(status.st_dev, status.st_ino);

  std::shared_ptr<local::LocalState> state;
  auto stores = open_stores().stores.lock();
  stores.wait(open_stores().closed, [&] {
    auto found = stores->find(id);
    if (found != stores->end()) state = found->second.lock();
    return found == stores->end() || state;
  });
  if (!state) {
    auto opened = CASTORE_TRY_WHILE(open_state(folder, mode, tuning), "{}", doing);
    auto close = [id](local::LocalState* closing) {
      delete closing;
      open_stores().stores.lock()->erase(id);
      open_stores().closed.notify_all();
    };
    state = std::shared_ptr<local::LocalState>(opened.release(), close);
    (*stores)[id] = state;
  }
  return std::shared_ptr<LocalStore>(new LocalStore(std::move(state)));
}

std::shared_ptr<store::BlobService> LocalStore::blobs() {
  return local::make_blob_service(state_);
}
std::shared_ptr<store::DirectoryService> LocalStore::directories() {
  return local::make_directory_service(state_);
}
std::shared_ptr<store::PathInfoService> LocalStore::path_infos() {
  return local::make_path_info_service(state_);
}
std::shared_ptr<store::ImportCache> LocalStore::import_cache() {
  return local::make_import_cache(state_);
}

store::Services LocalStore::services() {
  return {blobs(), directories(), path_infos(), import_cache(), local::make_upkeep(state_)};
}

Result<LocalStoreFacts> LocalStore::facts() {
  local::LocalState& state = *state_;
  LocalStoreFacts facts;
  facts.folder = state.folder;
  facts.format_version = kLocalFormatVersion;
  facts.database_bytes = CASTORE_TRY(state.database->bytes_used());
  facts.database_bytes_max = local::kDatabaseBytesMax;
  local::Database::Reader reader = CASTORE_TRY(state.database->read());
  facts.blobs = CASTORE_TRY(reader.count(local::Table::kBlobs));
  auto packs = CASTORE_TRY(reader.scan(local::Table::kPacks, std::nullopt, SIZE_MAX));
  facts.packs = packs.size();
  for (const auto& [key, value] : packs)
    facts.pack_bytes += local::decode_pack_end(key, value).value_or(0);
  facts.directories = CASTORE_TRY(reader.count(local::Table::kDirectories));
  facts.path_infos = CASTORE_TRY(reader.count(local::Table::kPathInfos));
  struct statvfs disk;
  if (::statvfs(state.folder.c_str(), &disk) != 0)
    return fail_errno(errno, "asking for the free space of {}", state.folder);
  facts.disk_bytes_free = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  return facts;
}

}  // namespace castore::backends
