// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <lmdb.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/local/mapped_pages.h"
#include "base/bytes.h"
#include "base/guarded.h"
#include "base/result.h"

namespace castore::backends::local {

// The tables of the database; docs/formats/local-store.md describes keys and values.
enum class Table { kBlobs, kPacks, kDirectories, kPathInfos, kSources, kNars };
inline constexpr size_t kTableCount = 6;

// In the order of Table. Names are part of the format.
inline constexpr std::array<const char*, kTableCount> kTableNames = {
    "blobs", "packs", "directories", "path_infos", "sources", "nars"};

// The size of the mapping, and so the most the database can hold. Address space, not memory: the
// file grows as it is filled.
#ifdef CASTORE_TSAN
inline constexpr uint64_t kDatabaseBytesMax = uint64_t{64} << 30;  // TSan leaves less room
#else
inline constexpr uint64_t kDatabaseBytesMax = uint64_t{1} << 40;
#endif

// How LMDB opens the database at `path` to read it: without locks where the lock file cannot be
// written.
unsigned read_only_flags(const std::string& path);

// LMDB with our tables, errors and lifetimes.
//
//   Threads   any number of readers, in any threads; one writer at a time over all processes (the
//             next one waits in `write`).
//   Errors    kExhausted: disk or map full. kCorrupt: the file is damaged. Failed writers leave
//             nothing behind.
class Database {
 public:
  enum class Access {
    kWrite,  // the file is made when it is not there
    kRead,   // `write` fails. On a medium that cannot be written to, and for somebody who may only
             // read, nothing is locked: a writer elsewhere would pull the pages away from readers
  };
  static Result<std::unique_ptr<Database>> open(const std::string& path, Access access);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // A snapshot. Views it gives live as long as it does; it should not live long, since pages that
  // were replaced meanwhile cannot be reused.
  class Reader {
   public:
    Reader(Reader&& other) noexcept;
    Reader& operator=(Reader&&) = delete;
    ~Reader();

    Result<std::optional<ByteView>> get(Table table, ByteView key) const;

    // Up to `count_max` pairs with keys after `after` (or from the first on), in key order.
    struct Pair {
      ByteView key;
      ByteView value;
    };
    Result<std::vector<Pair>> scan(Table table, std::optional<ByteView> after,
                                   size_t count_max) const;

    Result<uint64_t> count(Table table) const;

   private:
    friend Database;
    Reader(Database* database, MDB_txn* txn) : database_(database), txn_(txn) {}

    Database* database_;
    MDB_txn* txn_;
  };

  class Writer {
   public:
    Writer(Writer&& other) noexcept;
    Writer& operator=(Writer&&) = delete;
    ~Writer();  // gives up what was not committed

    Result<void> upsert(Table table, ByteView key, ByteView value);
    // A key that is not there is fine.
    Result<void> erase(Table table, ByteView key);
    // Leaves the table empty.
    Result<void> clear(Table table);

    // On disk when it returns.
    Result<void> commit();

   private:
    friend Database;
    Writer(Database* database, MDB_txn* txn) : database_(database), txn_(txn) {}

    Database* database_;
    MDB_txn* txn_;
  };

  Result<Reader> read();
  Result<Writer> write();

  Result<uint64_t> bytes_used();

 private:
  explicit Database(std::string path) : path_(std::move(path)) {}

  std::unexpected<Error> failure(int code, std::string_view doing) const;
  MDB_dbi dbi(Table table) const { return dbis_[static_cast<size_t>(table)]; }

  std::string path_;
  MDB_env* env_ = nullptr;
  std::array<MDB_dbi, kTableCount> dbis_{};
  MappedPages pages_;
  Guarded<std::vector<MDB_txn*>> idle_readers_;  // reset, ready for mdb_txn_renew
};

}  // namespace castore::backends::local
