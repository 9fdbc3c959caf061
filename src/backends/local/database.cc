// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/database.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace castore::backends::local {
namespace {

constexpr unsigned kReadersMax = 1024;

// NOTLS: a snapshot belongs to an object, not to a thread.
constexpr unsigned kFlags = MDB_NOSUBDIR | MDB_NOTLS;

MDB_val value_of(ByteView bytes) {
  return {bytes.size(), const_cast<void*>(static_cast<const void*>(bytes.data()))};
}

ByteView view_of(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

}  // namespace

std::unexpected<Error> Database::failure(int code, std::string_view doing) const {
  std::string where = fmt::format("{} in {}", doing, path_);
  switch (code) {
    case MDB_MAP_FULL:
      return fail(ErrorKind::kExhausted, "{}: the database has reached its limit of {} GiB", where,
                  kDatabaseBytesMax >> 30);
    case MDB_READERS_FULL:
      return fail(ErrorKind::kExhausted, "{}: more than {} readers at once", where, kReadersMax);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC:
      return fail(ErrorKind::kCorrupt,
                  "{}: the database is damaged ({}); `castore verify` says more", where,
                  mdb_strerror(code));
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
      return fail(ErrorKind::kUnsupported, "{}: {}", where, mdb_strerror(code));
    default:
      if (code > 0) return std::unexpected(Error::from_errno(code, where));
      return fail(ErrorKind::kInternal, "{}: {}", where, mdb_strerror(code));
  }
}

unsigned read_only_flags(const std::string& path) {
  const bool can_lock = ::access((path + "-lock").c_str(), R_OK | W_OK) == 0;
  return kFlags | MDB_RDONLY | (can_lock ? 0 : MDB_NOLOCK);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Access access) {
  std::unique_ptr<Database> database(new Database(path));
  constexpr std::string_view kDoing = "opening the database";
  if (int code = mdb_env_create(&database->env_)) return database->failure(code, kDoing);
  MDB_env* env = database->env_;
  if (int code = mdb_env_set_mapsize(env, kDatabaseBytesMax))
    return database->failure(code, kDoing);
  if (int code = mdb_env_set_maxdbs(env, kTableCount)) return database->failure(code, kDoing);
  if (int code = mdb_env_set_maxreaders(env, kReadersMax)) return database->failure(code, kDoing);
  const unsigned flags = access == Access::kRead ? read_only_flags(path) : kFlags;
  if (int code = mdb_env_open(env, path.c_str(), flags, 0644)) {
    if (code == ENOMEM)
      return fail(ErrorKind::kExhausted,
                  "{} {}: mapping {} GiB of address space failed; raise the limit (ulimit -v)",
                  kDoing, path, kDatabaseBytesMax >> 30);
    return database->failure(code, kDoing);
  }
  // Slots of readers that were killed hold on to old pages until somebody looks.
  int dead = 0;
  if ((flags & MDB_NOLOCK) == 0) mdb_reader_check(env, &dead);

  // A reader suffices once the tables are there, and does not wait for a writer.
  for (bool create : {false, true}) {
    MDB_txn* txn = nullptr;
    if (int code = mdb_txn_begin(env, nullptr, create ? 0 : MDB_RDONLY, &txn))
      return database->failure(code, kDoing);
    int code = 0;
    for (size_t i = 0; i < kTableCount && code == 0; ++i)
      code = mdb_dbi_open(txn, kTableNames[i], create ? MDB_CREATE : 0, &database->dbis_[i]);
    if (code == 0) {
      code = mdb_txn_commit(txn);
    } else {
      mdb_txn_abort(txn);
    }
    if (code == 0) {
      mdb_filehandle_t file = -1;
      if (mdb_env_get_fd(env, &file) == 0) database->pages_.find(file, kDatabaseBytesMax);
      return database;
    }
    if (code != MDB_NOTFOUND || create || access == Access::kRead)
      return database->failure(code, kDoing);
  }
  return database;
}

Database::~Database() {
  if (env_ == nullptr) return;
  for (MDB_txn* txn : *idle_readers_.lock()) mdb_txn_abort(txn);
  mdb_env_close(env_);
}

Result<Database::Reader> Database::read() {
  MDB_txn* txn = nullptr;
  {
    auto idle = idle_readers_.lock();
    if (!idle->empty()) {
      txn = idle->back();
      idle->pop_back();
    }
  }
  int code = txn != nullptr ? mdb_txn_renew(txn) : mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code != 0) {
    if (txn != nullptr) mdb_txn_abort(txn);
    return failure(code, "reading");
  }
  return Reader(this, txn);
}

Database::Reader::Reader(Reader&& other) noexcept
    : database_(other.database_), txn_(std::exchange(other.txn_, nullptr)) {}

Database::Reader::~Reader() {
  if (txn_ == nullptr) return;
  mdb_txn_reset(txn_);
  database_->idle_readers_.lock()->push_back(txn_);
}

Result<std::optional<ByteView>> Database::Reader::get(Table table, ByteView key) const {
  MDB_val key_value = value_of(key);
  MDB_val value;
  database_->pages_.touch();
  int code = mdb_get(txn_, database_->dbi(table), &key_value, &value);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != 0) return database_->failure(code, "reading");
  return view_of(value);
}

Result<std::vector<Database::Reader::Pair>> Database::Reader::scan(Table table,
                                                                   std::optional<ByteView> after,
                                                                   size_t count_max) const {
  MDB_cursor* cursor = nullptr;
  if (int code = mdb_cursor_open(txn_, database_->dbi(table), &cursor))
    return database_->failure(code, "listing");
  std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> owner(cursor, &mdb_cursor_close);
  std::vector<Pair> pairs;
  MDB_val key{};
  MDB_val value{};
  int code = 0;
  if (after) {
    key = value_of(*after);
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (code == 0 && text_of(view_of(key)) == text_of(*after))
      code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  } else {
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  }
  while (code == 0 && pairs.size() < count_max) {
    pairs.push_back({view_of(key), view_of(value)});
    code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  if (code != 0 && code != MDB_NOTFOUND) return database_->failure(code, "listing");
  return pairs;
}

Result<uint64_t> Database::Reader::count(Table table) const {
  MDB_stat stat;
  if (int code = mdb_stat(txn_, database_->dbi(table), &stat))
    return database_->failure(code, "counting");
  return stat.ms_entries;
}

Result<Database::Writer> Database::write() {
  MDB_txn* txn = nullptr;
  if (int code = mdb_txn_begin(env_, nullptr, 0, &txn)) return failure(code, "beginning to write");
  pages_.begin_counting();
  return Writer(this, txn);
}

Database::Writer::Writer(Writer&& other) noexcept
    : database_(other.database_), txn_(std::exchange(other.txn_, nullptr)) {}

Database::Writer::~Writer() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

Result<void> Database::Writer::upsert(Table table, ByteView key, ByteView value) {
  MDB_val key_value = value_of(key);
  MDB_val data = value_of(value);
  database_->pages_.touch();
  if (int code = mdb_put(txn_, database_->dbi(table), &key_value, &data, 0))
    return database_->failure(code, "writing");
  return {};
}

Result<void> Database::Writer::erase(Table table, ByteView key) {
  MDB_val key_value = value_of(key);
  int code = mdb_del(txn_, database_->dbi(table), &key_value, nullptr);
  if (code != 0 && code != MDB_NOTFOUND) return database_->failure(code, "removing");
  return {};
}

Result<void> Database::Writer::clear(Table table) {
  if (int code = mdb_drop(txn_, database_->dbi(table), 0))
    return database_->failure(code, "emptying");
  return {};
}

Result<void> Database::Writer::commit() {
  CASTORE_CHECK(txn_ != nullptr, "a writer commits once");
  if (int code = mdb_txn_commit(std::exchange(txn_, nullptr)))
    return database_->failure(code, "committing");
  return {};
}

Result<uint64_t> Database::bytes_used() {
  MDB_envinfo info;
  MDB_stat stat;
  if (int code = mdb_env_info(env_, &info)) return failure(code, "measuring");
  if (int code = mdb_env_stat(env_, &stat)) return failure(code, "measuring");
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

}  // namespace castore::backends::local
