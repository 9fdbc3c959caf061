// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Problem: a file must be stored as it was at one moment, while others may write to it; and an
// unchanged file should be recognised without reading it.
//
// Idea: device, inode, size, mtime and ctime are compared before and after reading. Nobody can set
// the ctime back (and only filesystems where that is so are remembered by: lasting_filesystem), so
// equal stamps mean that nothing was written in between - except within one tick
// of the filesystem's clock, where a second write leaves the stamp as the first one made it. During
// one import that is bounded by the size check and accepted. For a remembered stamp it would be a
// wrong answer for ever: a stamp is therefore remembered only when the file was last changed a
// while before it was read, so that any later change is bound to show (git calls such files racily
// clean).
#include "transfer/source_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <memory>
#include <string>

#include "base/file.h"
#include "digest/blake3.h"
#include "model/limits.h"
#include "transfer/tree_walk.h"

namespace castore::transfer {
namespace {

constexpr int kReadAttemptsMax = 3;

// More than the coarsest clock among filesystems: FAT counts in steps of two seconds. A file
// younger than this costs another read next time, no more.
constexpr int64_t kSettledAgeNs = 2'500'000'000;

// Files with several names that are remembered at the end of an import; beyond that they are
// forgotten and read again next time.
constexpr size_t kLinkedFilesMax = 65'536;

int64_t to_ns(const struct timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

store::SourceStamp stamp_of(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<uint64_t>(status.st_size),
          .mtime_ns = to_ns(status.st_mtim),
          .ctime_ns = to_ns(status.st_ctim)};
}

// For what is remembered beyond this import; nothing where such a stamp would not tell the file.
std::optional<store::SourceStamp> lasting_stamp(const SourceItem& item, const struct stat& status) {
  auto filesystem = item.folder->filesystem;
  // A file that is imported by itself stands in no open folder.
  if (!item.folder->place) {
    UniqueFd file(::open(item.name.c_str(), O_PATH | O_CLOEXEC));
    filesystem = lasting_filesystem(file.get());
  }
  // Another one may be mounted on the file.
  if (!filesystem || filesystem->device != status.st_dev) return std::nullopt;
  store::SourceStamp stamp = stamp_of(status);
  stamp.filesystem = filesystem->id;
  return stamp;
}

bool is_executable(const struct stat& status) {
  return (status.st_mode & S_IXUSR) != 0;
}

// A file opened for reading and its attributes at that moment.
struct OpenedFile {
  UniqueFd fd;
  struct stat status;
  int64_t opened_ns;  // a moment before the attributes were taken

  uint64_t size() const { return static_cast<uint64_t>(status.st_size); }
};

Result<OpenedFile> open_source(const SourceItem& item, int64_t now_ns) {
  OpenedFile file{.fd = {}, .status = {}, .opened_ns = now_ns};
  file.fd = CASTORE_TRY(open_entry(*item.folder, item.name, O_RDONLY));
  if (::fstat(file.fd.get(), &file.status) != 0)
    return fail_errno(errno, "reading the attributes of {}", item.path());
  if (!S_ISREG(file.status.st_mode))
    return std::unexpected(unsupported_file_type(item.path(), file.status.st_mode));
  return file;
}

// Whether the file is still as it was when it was opened.
bool is_unchanged(const OpenedFile& file) {
  struct stat now;
  return ::fstat(file.fd.get(), &now) == 0 && stamp_of(now) == stamp_of(file.status) &&
         now.st_mode == file.status.st_mode;
}

std::unexpected<Error> changed_while_read(const SourceItem& item) {
  return fail(ErrorKind::kUnavailable, "{} changed while it was read", item.path());
}

}  // namespace

int64_t file_clock_now() {
  struct timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return to_ns(now);
}

SourceOutcome SourceReader::read(const SourceItem& item) {
  auto outcome = [&]() -> Result<SourceOutcome> {
    CASTORE_TRY(ctx_.check());
    return item.kind == SourceItem::Kind::kFile ? read_file(item) : read_symlink(item);
  }();
  if (!outcome) return std::move(outcome).error();
  return *std::move(outcome);
}

Result<SourceOutcome> SourceReader::read_file(const SourceItem& item) {
  if (auto known = CASTORE_TRY(find_known(item))) return *std::move(known);
  for (int attempt = 0; attempt < kReadAttemptsMax; ++attempt) {
    OpenedFile file = CASTORE_TRY(open_source(item, now_()));
    if (file.size() > kFileInMemoryBytesMax) return LargeFile{};

    // One byte more than there should be, to notice growth.
    const auto size = static_cast<size_t>(file.size());
    auto buffer = std::make_shared_for_overwrite<std::byte[]>(size + 1);
    auto length = read_at(file.fd.get(), 0, {buffer.get(), size + 1}, "the file");
    if (!length) return std::unexpected(std::move(length).error().context(item.path()));
    if (*length != size || !is_unchanged(file)) continue;

    const ByteView view(buffer.get(), size);
    const Bytes contents(std::move(buffer), view);
    const Digest digest = blake3(view);
    auto stored =
        CASTORE_TRY_WHILE(services_.blobs->put(ctx_, digest, contents), "storing {}", item.path());
    tally_.count_blob(stored.is_new, stored.size);
    tally_.bytes += size;
    CASTORE_TRY(remember(item, file.status, file.opened_ns, digest));
    StoredFile result{
        .node = {.digest = digest, .size = size, .executable = is_executable(file.status)},
        .contents = {}};
    if (keep_contents_.load(std::memory_order_relaxed)) result.contents = contents;
    return result;
  }
  return changed_while_read(item);
}

Result<SourceOutcome> SourceReader::read_symlink(const SourceItem& item) {
  std::string target(kSymlinkTargetBytesMax + 1, '\0');
  ssize_t length =
      ::readlinkat(item.folder->fd.get(), item.name.c_str(), target.data(), target.size());
  if (length < 0) return fail_errno(errno, "reading symlink {}", item.path());
  target.resize(static_cast<size_t>(length));
  return SymlinkNode{
      CASTORE_TRY_WHILE(SymlinkTarget::parse(std::move(target)), "symlink {}", item.path())};
}

Result<FileNode> SourceReader::stream(const SourceItem& item, const StreamObserver& observer) {
  OpenedFile file = CASTORE_TRY(open_source(item, now_()));
  (void)::posix_fadvise(file.fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  CASTORE_TRY(observer.begin(file.size(), is_executable(file.status)));
  uint64_t consumed = 0;
  auto consume = [&](ByteView bytes) -> Result<void> {
    consumed += bytes.size();
    if (consumed > file.size()) return changed_while_read(item);
    tally_.bytes += bytes.size();
    return observer.contents(bytes);
  };
  if (!streamer_) streamer_.emplace();
  auto stored = CASTORE_TRY_WHILE(
      streamer_->store_file(ctx_, *services_.blobs, file.fd.get(), item.path(), consume),
      "storing {}", item.path());
  if (stored.size != file.size() || !is_unchanged(file)) return changed_while_read(item);
  tally_.count_blob(stored.is_new, stored.size);
  CASTORE_TRY(remember(item, file.status, file.opened_ns, stored.digest));
  return FileNode{
      .digest = stored.digest, .size = stored.size, .executable = is_executable(file.status)};
}

// By the stamp alone, and only what the store has.
Result<std::optional<StoredFile>> SourceReader::find_known(const SourceItem& item) {
  if (!services_.import_cache) return std::nullopt;
  struct stat status;
  if (::fstatat(item.folder->fd.get(), item.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno(errno, "reading the attributes of {}", item.path());
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  const auto stamp = lasting_stamp(item, status);
  if (!stamp) return std::nullopt;
  auto digest = CASTORE_TRY(services_.import_cache->find_source(ctx_, *stamp));
  if (!digest || !CASTORE_TRY(services_.blobs->has(ctx_, *digest))) return std::nullopt;
  const auto size = static_cast<uint64_t>(status.st_size);
  tally_.count_blob(false, size);
  tally_.bytes += size;
  return StoredFile{.node = {.digest = *digest, .size = size, .executable = is_executable(status)},
                    .contents = {}};
}

Result<void> SourceReader::remember(const SourceItem& item, const struct stat& status,
                                    int64_t opened_ns, const Digest& digest) {
  if (!services_.import_cache) return {};
  if (to_ns(status.st_ctim) > opened_ns - kSettledAgeNs) return {};
  const auto stamp = lasting_stamp(item, status);
  if (!stamp) return {};
  // A second name of a file would be found by the stamp of the first, in the middle of an import
  // that wants to hash every byte for the NAR. It is not to look like an unchanged tree.
  if (status.st_nlink > 1 && keep_contents_.load(std::memory_order_relaxed)) {
    auto linked = linked_.lock();
    if (linked->size() < kLinkedFilesMax) linked->emplace_back(*stamp, digest);
    return {};
  }
  return services_.import_cache->remember_source(ctx_, *stamp, digest);
}

Result<void> SourceReader::finish() {
  std::vector<Stamped> linked = std::move(*linked_.lock());
  for (const auto& [stamp, digest] : linked)
    CASTORE_TRY(services_.import_cache->remember_source(ctx_, stamp, digest));
  return {};
}

}  // namespace castore::transfer
