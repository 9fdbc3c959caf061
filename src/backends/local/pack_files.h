// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "backends/local/database.h"
#include "backends/local/pack_readahead.h"
#include "backends/local/records.h"
#include "backends/local/tuning.h"
#include "base/bytes.h"
#include "base/guarded.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::backends::local {

// The files small blobs and directories are written to, one after the other:
// packs/<number, 8 digits>.pack. What a pack holds is known to the database alone; a pack is
// nothing but the bytes of its objects.
std::string pack_path(const std::string& store_folder, uint64_t pack);

// Blobs are written to packs of odd numbers, directories to those of even numbers: who walks a tree
// reads a few megabytes lying together, not a little out of each corner of the store. Readers rely
// on nothing of the kind.
enum class PackOf { kBlobs, kDirectories };
constexpr PackOf kind_of_pack(uint64_t pack) {
  return pack % 2 == 1 ? PackOf::kBlobs : PackOf::kDirectories;
}

// Reads from packs. Any thread.
class PackReader {
 public:
  explicit PackReader(std::string store_folder) : folder_(std::move(store_folder)) {}

  // kCorrupt when the pack is not there or too short.
  Result<Bytes> read(const ObjectRecord& place);

 private:
  struct OpenPack {
    UniqueFd fd;
    std::string path;
  };
  Result<std::shared_ptr<const OpenPack>> open(uint64_t pack);

  std::string folder_;
  Guarded<std::map<uint64_t, std::shared_ptr<const OpenPack>>> open_;
  PackReadahead readahead_;
};

// Appends to packs. One thread.
//
// Invariants, whatever the database says and whoever died when:
//   1. Bytes that were in a pack when it was taken are never written over nor cut off. A pack is
//      gone on with behind its last byte; one the database does not know is not taken at all.
//   2. A pack is locked (flock) from before its first write until the database knows how far it is
//      in use. Nobody else takes it before.
// The bytes of a writer that was killed stay in the pack, unused. One that ends in good order cuts
// off what it wrote and did not get recorded.
class PackWriter {
 public:
  PackWriter(std::string store_folder, Database& database, const Tuning& tuning)
      : folder_(std::move(store_folder)), database_(database), tuning_(tuning) {}
  PackWriter(PackWriter&&) = default;
  PackWriter& operator=(PackWriter&&) = delete;
  ~PackWriter();

  // Writes the objects one after the other into one pack of that kind and sets their places.
  // Nothing counts as written when it fails. Not on disk before `flush`.
  Result<void> append(PackOf kind, std::span<const Bytes> objects, std::span<ObjectRecord> places);

  // Makes appended bytes durable.
  Result<void> flush();

  // Records, in a transaction, how far the packs written to are in use. After `flush`.
  Result<void> record_ends(Database::Writer& writer) const;
  // After that transaction is committed.
  void ends_recorded();

  // Lets go of all packs as they are, where nobody knows what of them the database has recorded.
  void abandon() { taken_.clear(), current_ = {}; }

 private:
  // A pack this writer holds locked.
  struct Taken {
    UniqueFd fd;
    uint64_t begin = 0;  // of what was written and is not recorded
    uint64_t end = 0;
    uint64_t writeback_begun = 0;
    bool is_new = false;  // the database does not know it yet
  };

  uint64_t& current(PackOf kind) { return current_[static_cast<size_t>(kind)]; }
  Result<void> take_pack(PackOf kind);
  Result<bool> take_known(uint64_t pack, uint64_t recorded_end);
  Result<bool> make_new(uint64_t pack);

  std::string folder_;
  Database& database_;
  Tuning tuning_;
  std::map<uint64_t, Taken> taken_;
  std::array<uint64_t, 2> current_{};  // of them, one of each kind; 0: none
  bool folder_changed_ = false;        // packs/ has a new name in it
};

}  // namespace castore::backends::local
