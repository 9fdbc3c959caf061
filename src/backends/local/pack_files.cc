// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/pack_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

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

Result<std::shared_ptr<const PackReader::OpenPack>> PackReader::open(uint64_t pack) {
  {
    auto open = open_.lock();
    if (auto found = open->find(pack); found != open->end()) return found->second;
  }
  std::string path = pack_path(folder_, pack);
  auto fd = open_file(path, O_RDONLY);
  if (!fd) {
    // The database speaks of it.
    ErrorKind kind =
        fd.error().kind() == ErrorKind::kNotFound ? ErrorKind::kCorrupt : fd.error().kind();
    return std::unexpected(Error(kind, fd.error().message()));
  }
  auto shared = std::make_shared<const OpenPack>(std::move(*fd), std::move(path));
  auto open = open_.lock();
  if (open->size() >= kOpenPacksMax) open->clear();
  return open->try_emplace(pack, std::move(shared)).first->second;
}

Result<Bytes> PackReader::read(const ObjectRecord& place) {
  auto pack = CASTORE_TRY(open(place.pack));
  readahead_.before_read(pack->fd.get(), place);
  auto owner = std::make_shared_for_overwrite<std::byte[]>(static_cast<size_t>(place.size));
  MutableByteView bytes(owner.get(), static_cast<size_t>(place.size));
  size_t n = CASTORE_TRY(read_at(pack->fd.get(), place.offset, bytes, pack->path));
  if (n != bytes.size())
    return fail(ErrorKind::kCorrupt, "{} ends {} bytes after offset {}, where {} bytes should be",
                pack->path, n, place.offset, place.size);
  return Bytes(std::move(owner), bytes);
}

PackWriter::~PackWriter() {
  for (const auto& [number, pack] : taken_) {
    if (pack.is_new)
      ::unlink(pack_path(folder_, number).c_str());
    else if (pack.end > pack.begin)
      (void)::ftruncate(pack.fd.get(), static_cast<off_t>(pack.begin));
  }
}

Result<void> PackWriter::append(PackOf kind, std::span<const Bytes> objects,
                                std::span<ObjectRecord> places) {
  if (current(kind) == 0 || taken_.at(current(kind)).end >= tuning_.pack_bytes_max)
    CASTORE_TRY(take_pack(kind));
  const uint64_t number = current(kind);
  Taken& pack = taken_.at(number);
  uint64_t end = pack.end;
  std::vector<iovec> parts;
  parts.reserve(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    places[i] = {objects[i].size(), number, end};
    parts.push_back({const_cast<std::byte*>(objects[i].data()), objects[i].size()});
    end += objects[i].size();
  }
  auto written =
      write_vector(pack.fd.get(), pack.end, std::move(parts), pack_path(folder_, number));
  if (!written) {
    // On a full disk, the part that fitted is room.
    (void)::ftruncate(pack.fd.get(), static_cast<off_t>(pack.end));
    return written;
  }
  pack.end = end;
  if (pack.end - pack.writeback_begun >= kWritebackBytes) {
    // A hint; whatever it answers, the flush at the end decides.
    ::sync_file_range(pack.fd.get(), static_cast<off_t>(pack.writeback_begun),
                      static_cast<off_t>(pack.end - pack.writeback_begun), SYNC_FILE_RANGE_WRITE);
    pack.writeback_begun = pack.end;
  }
  return {};
}

Result<void> PackWriter::flush() {
  for (const auto& [number, pack] : taken_)
    if (pack.end > pack.begin)
      CASTORE_TRY(tuning_.disk->flush_file(pack.fd.get(), pack_path(folder_, number)));
  if (folder_changed_) {
    CASTORE_TRY(tuning_.disk->flush_folder(folder_ + "/packs"));
    CASTORE_TRY(tuning_.disk->flush_folder(folder_));
    folder_changed_ = false;
  }
  return {};
}

Result<void> PackWriter::record_ends(Database::Writer& writer) const {
  for (const auto& [number, pack] : taken_) {
    if (pack.end == pack.begin) continue;
    std::string key = pack_key(number);
    CASTORE_TRY(writer.upsert(Table::kPacks, bytes_of(key),
                              bytes_of(encode_pack_end(bytes_of(key), pack.end))));
  }
  return {};
}

void PackWriter::ends_recorded() {
  for (auto& [number, pack] : taken_) {
    pack.is_new = pack.is_new && pack.end == 0;
    pack.begin = pack.end;
  }
  std::erase_if(taken_, [&](const auto& entry) {
    return std::ranges::find(current_, entry.first) == current_.end();
  });
}

// Goes on with a pack that has room and no writer, or begins a new one.
Result<void> PackWriter::take_pack(PackOf kind) {
  std::vector<std::pair<uint64_t, uint64_t>> known;  // number, end
  {
    Database::Reader reader = CASTORE_TRY(database_.read());
    auto pairs = CASTORE_TRY(reader.scan(Table::kPacks, std::nullopt, SIZE_MAX));
    for (const auto& [key, value] : pairs) {
      auto pack = decode_pack_key(key);
      auto end = decode_pack_end(key, value);
      // `verify` reports a damaged record. Its pack is not written to.
      if (pack && end) known.emplace_back(*pack, *end);
    }
  }
  for (auto [pack, end] : known)
    if (kind_of_pack(pack) == kind && end < tuning_.pack_bytes_max && !taken_.contains(pack) &&
        CASTORE_TRY(take_known(pack, end)))
      return {};
  CASTORE_TRY(make_folders(folder_ + "/packs", 0755));
  for (uint64_t pack = known.empty() ? 1 : known.back().first + 1;; ++pack)
    if (kind_of_pack(pack) == kind && CASTORE_TRY(make_new(pack))) return {};
}

// False when somebody else writes to it, or nobody should.
Result<bool> PackWriter::take_known(uint64_t pack, uint64_t recorded_end) {
  std::string path = pack_path(folder_, pack);
  auto fd = open_file(path, O_RDWR);
  if (!fd) return false;
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    return fail_errno(errno, "locking {}", path);
  }
  auto status = CASTORE_TRY(stat_fd(fd->get(), path));
  auto size = static_cast<uint64_t>(status.st_size);
  // Shorter: cut by somebody, nothing to build on.
  if (size < recorded_end || size >= tuning_.pack_bytes_max) return false;
  taken_[pack] = {std::move(*fd), size, size, size, false};
  current(kind_of_pack(pack)) = pack;
  return true;
}

// False when there is a file of that number: another writer's that the database does not know yet,
// or one it has forgotten.
Result<bool> PackWriter::make_new(uint64_t pack) {
  std::string path = pack_path(folder_, pack);
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) {
    if (errno == EEXIST) return false;
    return fail_errno(errno, "creating {}", path);
  }
  // Nobody else takes a pack that the database does not know.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return fail_errno(errno, "locking {}", path);
  folder_changed_ = true;
  taken_[pack] = {std::move(fd), 0, 0, 0, true};
  current(kind_of_pack(pack)) = pack;
  return true;
}

}  // namespace castore::backends::local
