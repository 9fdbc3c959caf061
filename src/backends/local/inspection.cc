// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/inspection.h"

#include <sys/stat.h>

#include <map>
#include <optional>

#include "backends/local/database_pages.h"
#include "backends/local/format.h"
#include "backends/local/local_store.h"
#include "backends/local/pack_files.h"
#include "backends/local/records.h"
#include "base/hex.h"
#include "model/limits.h"

namespace castore::backends {
namespace {

using local::Table;

// Whether records are what they should be. The packs come first.
class RecordCheck {
 public:
  RecordCheck(std::string folder, const std::function<void(StoreFault)>& on_fault)
      : folder_(std::move(folder)), on_fault_(on_fault) {}

  uint64_t faults() const { return faults_; }

  void check(Table table, ByteView key, ByteView value) {
    switch (table) {
      case Table::kPacks:
        return check_pack(key, value);
      case Table::kBlobs:
      case Table::kDirectories:
        return check_place(table, key, value);
      case Table::kPathInfos:
        if (!nix::StorePathDigest::from_bytes(key))
          report("database " + local::database_path(folder_),
                 fmt::format("a record of a path has the key {}", hex_encode(key)));
        return;  // else found by listing the paths
      case Table::kNars:
        if (!local::decode_nar(key, value))
          report("database " + local::database_path(folder_), "a remembered NAR hash is damaged");
        return;
      case Table::kSources:
        return;  // a remembered file that is damaged fits no file
    }
  }

 private:
  void report(std::string object, std::string detail) {
    ++faults_;
    on_fault_({std::move(object), std::move(detail)});
  }

  void check_pack(ByteView key, ByteView value) {
    auto pack = local::decode_pack_key(key);
    auto end = local::decode_pack_end(key, value);
    if (!pack || !end)
      return report(fmt::format("pack {}", pack ? fmt::to_string(*pack) : hex_encode(key)),
                    "its record is damaged");
    std::string path = local::pack_path(folder_, *pack);
    struct stat status;
    if (::stat(path.c_str(), &status) != 0)
      report(fmt::format("pack {}", *pack), fmt::format("{} is gone", path));
    else if (static_cast<uint64_t>(status.st_size) < *end)
      report(fmt::format("pack {}", *pack),
             fmt::format("{} has {} bytes, and {} are in use", path, status.st_size, *end));
    ends_[*pack] = *end;
  }

  void check_place(Table table, ByteView key, ByteView value) {
    bool is_blob = table == Table::kBlobs;
    auto digest = Digest::from_bytes(key);
    if (!digest)
      return report("database " + local::database_path(folder_),
                    fmt::format("a record of a {} has the key {}", is_blob ? "blob" : "directory",
                                hex_encode(key)));
    std::string object = fmt::format("{} {}", is_blob ? "blob" : "directory", *digest);
    auto place = local::decode_object_record(value);
    const uint64_t bytes_max = is_blob ? kPackedBlobBytesMax : kDirectoryBytesMax;
    const bool has_file = is_blob && place && place->pack == 0 && place->size > bytes_max;
    if (has_file && place->offset == 0) return;
    if (!place || place->pack == 0 || place->size > bytes_max)
      return report(std::move(object), "its index record is damaged");
    auto end = ends_.find(place->pack);
    if (end == ends_.end())
      report(std::move(object),
             fmt::format("it should be in pack {}, which is not in use", place->pack));
    else if (place->offset > end->second || place->size > end->second - place->offset)
      report(std::move(object),
             fmt::format("it should be at offset {} of pack {}, which ends at {}", place->offset,
                         place->pack, end->second));
  }

  std::string folder_;
  const std::function<void(StoreFault)>& on_fault_;
  std::map<uint64_t, uint64_t> ends_;
  uint64_t faults_ = 0;
};

}  // namespace

Result<StoreCondition> inspect_local_store(const std::string& folder,
                                           const std::function<void(StoreFault)>& on_fault) {
  CASTORE_TRY(local::prepare_folder(folder, OpenMode::kExisting));
  const std::string path = local::database_path(folder);
  RecordCheck records(folder, on_fault);
  local::PageVisitor visitor{
      .on_record = [&](Table table, ByteView key,
                       ByteView value) { records.check(table, key, value); },
      .on_fault = [&](std::string detail) { on_fault({"database " + path, std::move(detail)}); }};
  if (!CASTORE_TRY(local::visit_pages(path, visitor))) return StoreCondition::kUnreadable;
  return records.faults() == 0 ? StoreCondition::kSound : StoreCondition::kDamaged;
}

}  // namespace castore::backends
