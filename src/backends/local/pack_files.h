// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "backends/local/database.h"
#include "backends/local/records.h"
#include "base/bytes.h"
#include "base/guarded.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::backends::local {

// A pack is left for the next one when it has grown to this.
inline constexpr uint64_t kPackBytesMax = uint64_t{1} << 30;

// The files small blobs and directories are written to, one after the other:
// packs/<number, 8 digits>.pack. What a pack holds is known to the database alone; a pack is
// nothing but the bytes of its objects.
std::string pack_path(const std::string& store_folder, uint64_t pack);

// Reads from packs. Any thread.
class PackReader {
 public:
  explicit PackReader(std::string store_folder) : folder_(std::move(store_folder)) {}

  // kCorrupt when the pack is not there or too short.
  Result<Bytes> read(const ObjectRecord& place);

 private:
  Result<std::shared_ptr<const UniqueFd>> open(uint64_t pack);

  std::string folder_;
  Guarded<std::map<uint64_t, std::shared_ptr<const UniqueFd>>> open_;
};

// Appends to one pack at a time, which it holds locked against other processes. One thread.
//
// A pack's end is what the database says; bytes behind it are what a writer left that died before
// its transaction, and are cut off when the pack is next written to.
class PackWriter {
 public:
  PackWriter(std::string store_folder, Database& database)
      : folder_(std::move(store_folder)), database_(database) {}

  // Writes the objects one after the other into one pack and sets their places. Nothing counts as
  // written when it fails. Not on disk before `sync`.
  Result<void> append(std::span<const Bytes> objects, std::span<ObjectRecord> places);

  // Makes appended bytes durable.
  Result<void> sync();

  // Records, in a transaction, how far the packs written to are in use. After `sync`.
  Result<void> record_ends(Database::Writer& writer) const;
  // After that transaction is committed.
  void ends_recorded();

 private:
  Result<void> take_pack();
  Result<bool> try_pack(uint64_t pack, uint64_t end, bool create);

  std::string folder_;
  Database& database_;
  UniqueFd fd_;
  uint64_t pack_ = 0;  // 0: none taken
  uint64_t end_ = 0;
  uint64_t writeback_begun_ = 0;
  std::map<uint64_t, uint64_t> unrecorded_ends_;
};

}  // namespace castore::backends::local
