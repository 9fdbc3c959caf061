// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/blob_files.h"

#include <dirent.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "base/file.h"
#include "base/hex.h"

namespace castore::backends::local {
namespace {

constexpr mode_t kBlobMode = 0444;
constexpr mode_t kFolderMode = 0755;

// Filesystems that cannot make unnamed files answer one of these.
bool means_no_unnamed_files(int errno_value) {
  return errno_value == EOPNOTSUPP || errno_value == EISDIR || errno_value == EINVAL;
}

// linkat(2) by way of /proc needs no privilege, unlike AT_EMPTY_PATH.
std::string proc_path(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

bool link_file(const std::string& source, const std::string& path) {
  return ::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

// The lock tells a living writer's file from one that a dead process left.
Result<void> lock(int fd, const std::string& path) {
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return fail_errno(errno, "locking {}", path);
  return {};
}

// Whether `path` is still the name of the file that is open.
bool is_name_of(const std::string& path, int fd) {
  struct stat opened;
  struct stat named;
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

UnnamedFile::~UnnamedFile() {
  if (fd && !temporary_path.empty()) ::unlink(temporary_path.c_str());
}

Result<void> BlobFiles::prepare() const {
  CASTORE_TRY(make_folders(folder_ + "/blobs", kFolderMode));
  return sweep_temporary_files();
}

Result<UnnamedFile> BlobFiles::create() const {
  UnnamedFile file;
  if (tuning_.unnamed_files) {
    int fd = ::open((folder_ + "/blobs").c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kBlobMode);
    if (fd >= 0) {
      file.fd.reset(fd);
      return file;
    }
    if (!means_no_unnamed_files(errno))
      return fail_errno(errno, "creating a file in {}/blobs", folder_);
  }
  CASTORE_TRY(make_folders(folder_ + "/tmp", kFolderMode));
  for (;;) {
    std::string path = random_temporary_path();
    UniqueFd fd = CASTORE_TRY(open_file(path, O_RDWR | O_CREAT | O_EXCL, kBlobMode));
    // Between the two calls somebody who sweeps may have found the file without a lock, and have
    // it locked or removed.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) continue;
      return fail_errno(errno, "locking {}", path);
    }
    if (!is_name_of(path, fd.get())) continue;
    file.fd = std::move(fd);
    file.temporary_path = std::move(path);
    return file;
  }
}

Result<void> BlobFiles::flush(std::span<const Finished> files) const {
  // The first of these writes the journal, the others find it written.
  for (const Finished& finished : files)
    CASTORE_TRY(tuning_.disk->flush_file(finished.file->fd.get(), path_of(finished.digest)));
  return {};
}

Result<void> BlobFiles::name(std::span<const Finished> files) const {
  for (const Finished& finished : files)
    CASTORE_TRY_WHILE(name(finished), "naming {}", path_of(finished.digest));
  return {};
}

Result<void> BlobFiles::name(const Finished& finished) const {
  std::string path = path_of(finished.digest);
  const std::string& temporary = finished.file->temporary_path;
  std::string source = temporary.empty() ? proc_path(finished.file->fd.get()) : temporary;
  if (link_file(source, path)) return {};
  if (errno == ENOENT) {
    CASTORE_TRY(make_folders(folder_of(finished.digest), kFolderMode));
    if (link_file(source, path)) return {};
  }
  if (errno == EEXIST) return replace(finished, source);
  return fail_errno(errno, "making a link");
}

// rename(2) alone puts a file in the place of another, and needs a name to begin with.
Result<void> BlobFiles::replace(const Finished& finished, const std::string& source) const {
  std::string path = path_of(finished.digest);
  if (is_name_of(path, finished.file->fd.get())) return {};  // tried before
  CASTORE_TRY(make_folders(folder_ + "/tmp", kFolderMode));
  std::string temporary = random_temporary_path();
  CASTORE_TRY(lock(finished.file->fd.get(), temporary));
  if (!link_file(source, temporary)) return fail_errno(errno, "making the link {}", temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    int saved = errno;
    ::unlink(temporary.c_str());
    return fail_errno(saved, "renaming {}", temporary);
  }
  return {};
}

Result<void> BlobFiles::flush_names(std::span<const Finished> files) const {
  if (files.empty()) return {};
  std::set<std::string> folders;
  for (const Finished& finished : files) folders.insert(folder_of(finished.digest));
  for (const std::string& folder : folders) CASTORE_TRY(tuning_.disk->flush_folder(folder));
  // Also where this process made none of these folders: one that was killed may have, without
  // getting to this point. Costs nothing when nothing changed.
  CASTORE_TRY(tuning_.disk->flush_folder(folder_ + "/blobs"));
  return tuning_.disk->flush_folder(folder_);
}

Result<std::optional<UniqueFd>> BlobFiles::open_blob(const Digest& digest) const {
  std::string path = path_of(digest);
  auto fd = open_file(path, O_RDONLY);
  if (fd) return std::move(*fd);
  if (fd.error().kind() == ErrorKind::kNotFound) return std::nullopt;
  return std::unexpected(std::move(fd).error());
}

bool BlobFiles::has_blob(const Digest& digest, uint64_t size) const {
  struct stat status;
  return ::lstat(path_of(digest).c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         static_cast<uint64_t>(status.st_size) == size;
}

Result<void> BlobFiles::set_aside(const Digest& digest) const {
  std::string path = path_of(digest);
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0 && errno == ENOENT) return {};
  CASTORE_TRY(make_folders(folder_ + "/damaged", kFolderMode));
  std::string aside = fmt::format("{}/damaged/{}", folder_, digest.to_hex());
  if (::rename(path.c_str(), aside.c_str()) != 0)
    return fail_errno(errno, "moving {} to {}", path, aside);
  return tuning_.disk->flush_folder(folder_of(digest));
}

std::string BlobFiles::path_of(const Digest& digest) const {
  return fmt::format("{}/{}", folder_of(digest), digest.to_hex());
}

std::string BlobFiles::folder_of(const Digest& digest) const {
  return fmt::format("{}/blobs/{}", folder_, digest.to_hex().substr(0, 2));
}

std::string BlobFiles::random_temporary_path() const {
  std::array<std::byte, 16> bytes;
  (void)!::getrandom(bytes.data(), bytes.size(), 0);
  return fmt::format("{}/tmp/{}", folder_, hex_encode(bytes));
}

Result<void> BlobFiles::sweep_temporary_files() const {
  std::string folder = folder_ + "/tmp";
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), &::closedir);
  if (!listing) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, "listing {}", folder);
  }
  while (const dirent* entry = ::readdir(listing.get())) {
    if (entry->d_name[0] == '.') continue;
    std::string path = folder + "/" + entry->d_name;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
  }
  return {};
}

}  // namespace castore::backends::local
