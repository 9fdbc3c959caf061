// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/pack_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <vector>

#include "base/file.h"

namespace castore::backends::local {
namespace {

// Descriptors of packs kept for reading. More packs than this are opened as they are needed.
constexpr size_t kOpenPacksMax = 256;

// The disk is told to begin after this much, so that the flush at the end finds little to do.
constexpr uint64_t kWritebackBytes = 8 << 20;

Result<void> write_vector(int fd, uint64_t offset, std::vector<iovec> parts,
                          const std::string& path) {
  size_t first = 0;
  while (first < parts.size()) {
    int count = static_cast<int>(std::min<size_t>(parts.size() - first, IOV_MAX));
    ssize_t n = ::pwritev(fd, &parts[first], count, static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "writing {}", path);
    }
    offset += static_cast<uint64_t>(n);
    auto left = static_cast<size_t>(n);
    while (first < parts.size() && left >= parts[first].iov_len) left -= parts[first++].iov_len;
    if (left > 0) {
      parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + left;
      parts[first].iov_len -= left;
    }
  }
  return {};
}

}  // namespace

std::string pack_path(const std::string& store_folder, uint64_t pack) {
  return fmt::format("{}/packs/{:08}.pack", store_folder, pack);
}

Result<std::shared_ptr<const UniqueFd>> PackReader::open(uint64_t pack) {
  {
    auto open = open_.lock();
    if (auto found = open->find(pack); found != open->end()) return found->second;
  }
  auto fd = open_file(pack_path(folder_, pack), O_RDONLY);
  if (!fd) {
    // The database speaks of it.
    ErrorKind kind =
        fd.error().kind() == ErrorKind::kNotFound ? ErrorKind::kCorrupt : fd.error().kind();
    return std::unexpected(Error(kind, fd.error().message()));
  }
  auto shared = std::make_shared<const UniqueFd>(std::move(*fd));
  auto open = open_.lock();
  if (open->size() >= kOpenPacksMax) open->clear();
  return open->try_emplace(pack, std::move(shared)).first->second;
}

Result<Bytes> PackReader::read(const ObjectRecord& place) {
  auto fd = CASTORE_TRY(open(place.pack));
  std::vector<std::byte> bytes(static_cast<size_t>(place.size));
  std::string path = pack_path(folder_, place.pack);
  size_t n = CASTORE_TRY(read_at(fd->get(), place.offset, bytes, path));
  if (n != bytes.size())
    return fail(ErrorKind::kCorrupt, "{} ends {} bytes after offset {}, where {} bytes should be",
                path, n, place.offset, place.size);
  return Bytes::take(std::move(bytes));
}

Result<void> PackWriter::append(std::span<const Bytes> objects, std::span<ObjectRecord> places) {
  if (pack_ == 0 || end_ >= kPackBytesMax) CASTORE_TRY(take_pack());
  uint64_t end = end_;
  std::vector<iovec> parts;
  parts.reserve(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    places[i] = {objects[i].size(), pack_, end};
    parts.push_back({const_cast<std::byte*>(objects[i].data()), objects[i].size()});
    end += objects[i].size();
  }
  CASTORE_TRY(write_vector(fd_.get(), end_, std::move(parts), pack_path(folder_, pack_)));
  end_ = end;
  unrecorded_ends_[pack_] = end_;
  if (end_ - writeback_begun_ >= kWritebackBytes) {
    // A hint; whatever it answers, the flush at the end decides.
    ::sync_file_range(fd_.get(), static_cast<off_t>(writeback_begun_),
                      static_cast<off_t>(end_ - writeback_begun_), SYNC_FILE_RANGE_WRITE);
    writeback_begun_ = end_;
  }
  return {};
}

Result<void> PackWriter::sync() {
  if (pack_ == 0 || !unrecorded_ends_.contains(pack_)) return {};
  return sync_file(fd_.get(), pack_path(folder_, pack_));
}

Result<void> PackWriter::record_ends(Database::Writer& writer) const {
  for (auto [pack, end] : unrecorded_ends_)
    CASTORE_TRY(
        writer.upsert(Table::kPacks, bytes_of(pack_key(pack)), bytes_of(encode_pack_end(end))));
  return {};
}

void PackWriter::ends_recorded() {
  unrecorded_ends_.clear();
}

// Goes on with a pack that has room and no writer, or begins a new one.
Result<void> PackWriter::take_pack() {
  CASTORE_TRY(sync());
  fd_.reset();
  pack_ = 0;
  CASTORE_TRY(make_folders(folder_ + "/packs", 0755));
  std::vector<std::pair<uint64_t, uint64_t>> known;  // number, end
  {
    Database::Reader reader = CASTORE_TRY(database_.read());
    auto pairs = CASTORE_TRY(reader.scan(Table::kPacks, std::nullopt, SIZE_MAX));
    for (const auto& [key, value] : pairs) {
      auto pack = decode_pack_key(key);
      auto end = decode_pack_end(value);
      if (!pack || !end)
        return fail(ErrorKind::kCorrupt, "the database's table of packs is damaged in {}", folder_);
      known.emplace_back(*pack, *end);
    }
  }
  for (auto [pack, end] : known)
    if (end < kPackBytesMax && !unrecorded_ends_.contains(pack) &&
        CASTORE_TRY(try_pack(pack, end, false)))
      return {};
  // Packs that a writer began and did not record yet are there as files.
  for (uint64_t pack = known.empty() ? 1 : known.back().first + 1;; ++pack)
    if (CASTORE_TRY(try_pack(pack, 0, true))) return {};
}

// False when somebody else writes to it.
Result<bool> PackWriter::try_pack(uint64_t pack, uint64_t end, bool create) {
  std::string path = pack_path(folder_, pack);
  auto fd = open_file(path, O_RDWR | (create ? O_CREAT : 0), 0644);
  if (!fd) {
    // A known pack that cannot be written to is left alone.
    if (!create) return false;
    return std::unexpected(std::move(fd).error());
  }
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    return fail_errno(errno, "locking {}", path);
  }
  // Its last writer may have recorded more since the database was asked.
  {
    Database::Reader reader = CASTORE_TRY(database_.read());
    std::string key = pack_key(pack);
    if (auto value = CASTORE_TRY(reader.get(Table::kPacks, bytes_of(key))))
      end = decode_pack_end(*value).value_or(UINT64_MAX);
  }
  if (end >= kPackBytesMax) return false;
  auto status = CASTORE_TRY(stat_fd(fd->get(), path));
  auto size = static_cast<uint64_t>(status.st_size);
  if (size < end) return false;  // cut short by somebody: nothing to build on
  if (size > end && ::ftruncate(fd->get(), static_cast<off_t>(end)) != 0)
    return fail_errno(errno, "shortening {}", path);
  if (create) CASTORE_TRY(sync_folder(folder_ + "/packs"));
  fd_ = std::move(*fd);
  pack_ = pack;
  end_ = writeback_begun_ = end;
  return true;
}

}  // namespace castore::backends::local
