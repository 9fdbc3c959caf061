// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sys/stat.h>

#include <set>

#include "backends/local/format.h"
#include "backends/local/local_state.h"
#include "backends/local/records.h"

namespace castore::backends::local {
namespace {

class LocalUpkeep final : public store::Upkeep {
 public:
  explicit LocalUpkeep(std::shared_ptr<LocalState> state) : state_(std::move(state)) {}

  Result<uint64_t> repair(const Context& ctx,
                          std::span<const store::ObjectName> reported) override {
    CASTORE_TRY(state_->queue.sync());
    // A shared lock of our own would be in the way as anybody's is.
    const bool is_writer = static_cast<bool>(state_->writers_lock);
    UniqueFd own_lock;
    if (!is_writer) own_lock = CASTORE_TRY(open_store_lock(state_->folder));
    const UniqueFd& lock = is_writer ? state_->writers_lock : own_lock;
    CASTORE_TRY(lock_store(lock, StoreLock::kExclusive));
    auto forgotten = forget(ctx, reported);
    if (is_writer) CASTORE_TRY(lock_store(lock, StoreLock::kShared));
    return forgotten;
  }

 private:
  Result<uint64_t> forget(const Context& ctx, std::span<const store::ObjectName> reported) {
    std::vector<store::ObjectName> damaged;
    for (const store::ObjectName& name : reported) {
      CASTORE_TRY(ctx.check());
      if (!is_whole(ctx, name)) damaged.push_back(name);
    }
    std::vector<std::pair<Table, std::string>> erased = CASTORE_TRY(find_nameless(ctx));
    // The record first: a file without one is nothing to anybody.
    for (const store::ObjectName& name : damaged) erased.push_back(record_of(name));
    Database::Writer writer = CASTORE_TRY(state_->database->write());
    for (const auto& [table, key] : erased) CASTORE_TRY(writer.erase(table, bytes_of(key)));
    CASTORE_TRY(mend_packs(writer));
    CASTORE_TRY(writer.clear(Table::kSources));
    CASTORE_TRY(writer.clear(Table::kNars));
    CASTORE_TRY(writer.commit());
    for (const store::ObjectName& name : damaged)
      if (auto* blob = std::get_if<store::BlobName>(&name))
        CASTORE_TRY(state_->files.set_aside(blob->digest));
    return damaged.size();
  }

  bool is_whole(const Context& ctx, const store::ObjectName& name) const {
    if (auto* blob = std::get_if<store::BlobName>(&name)) {
      auto found = store::stream_blob(ctx, *make_blob_service(state_), blob->digest,
                                      [&](ByteView) -> Result<void> { return {}; });
      return found && *found;
    }
    if (auto* directory = std::get_if<store::DirectoryName>(&name)) {
      auto found = make_directory_service(state_)->get(ctx, directory->digest);
      return found && *found;
    }
    auto found = make_path_info_service(state_)->get(ctx, std::get<nix::StorePathDigest>(name));
    return found && *found;
  }

  static std::pair<Table, std::string> record_of(const store::ObjectName& name) {
    if (auto* blob = std::get_if<store::BlobName>(&name))
      return {Table::kBlobs, std::string(blob->digest.raw())};
    if (auto* directory = std::get_if<store::DirectoryName>(&name))
      return {Table::kDirectories, std::string(directory->digest.raw())};
    return {Table::kPathInfos, std::string(text_of(std::get<nix::StorePathDigest>(name).bytes()))};
  }

  // Records under keys that are no names, and of objects that are nowhere.
  Result<std::vector<std::pair<Table, std::string>>> find_nameless(const Context& ctx) {
    std::vector<std::pair<Table, std::string>> found;
    for (Table table : {Table::kBlobs, Table::kDirectories, Table::kPathInfos})
      CASTORE_TRY(scan_all(
          ctx, *state_->database, table, [&](ByteView key, ByteView value) -> Result<void> {
            bool is_name = table == Table::kPathInfos
                               ? nix::StorePathDigest::from_bytes(key).has_value()
                               : Digest::from_bytes(key).has_value();
            bool is_record = table == Table::kPathInfos || decode_object_record(value).has_value();
            if (!is_name || !is_record) found.emplace_back(table, text_of(key));
            if (is_record && table != Table::kPathInfos)
              if (auto place = decode_object_record(value); place->pack != 0)
                packs_.insert(place->pack);
            return {};
          }));
    return found;
  }

  // A pack is in use up to its last byte: that is always safe to say.
  Result<void> mend_packs(Database::Writer& writer) {
    {
      Database::Reader reader = CASTORE_TRY(state_->database->read());
      for (const auto& [key, value] :
           CASTORE_TRY(reader.scan(Table::kPacks, std::nullopt, SIZE_MAX))) {
        auto pack = decode_pack_key(key);
        if (pack && decode_pack_end(key, value)) packs_.insert(*pack);
      }
    }
    CASTORE_TRY(writer.clear(Table::kPacks));
    for (uint64_t pack : std::exchange(packs_, {})) {
      struct stat status;
      if (::stat(pack_path(state_->folder, pack).c_str(), &status) != 0) continue;
      std::string key = pack_key(pack);
      CASTORE_TRY(writer.upsert(
          Table::kPacks, bytes_of(key),
          bytes_of(encode_pack_end(bytes_of(key), static_cast<uint64_t>(status.st_size)))));
    }
    return {};
  }

  std::shared_ptr<LocalState> state_;
  std::set<uint64_t> packs_;  // that something is in
};

}  // namespace

std::shared_ptr<store::Upkeep> make_upkeep(std::shared_ptr<LocalState> state) {
  return std::make_shared<LocalUpkeep>(std::move(state));
}

}  // namespace castore::backends::local
