// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/blob_files.h"

#include <dirent.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <set>

#include "base/file.h"

namespace castore::backends::local {
namespace {

constexpr mode_t kBlobMode = 0444;
constexpr mode_t kFolderMode = 0755;

// Filesystems that cannot make unnamed files answer one of these.
bool means_no_unnamed_files(int errno_value) {
  return errno_value == EOPNOTSUPP || errno_value == EISDIR || errno_value == ENOENT ||
         errno_value == EINVAL;
}

// linkat(2) by way of /proc needs no privilege, unlike AT_EMPTY_PATH.
std::string proc_path(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

}  // namespace

UnnamedFile::~UnnamedFile() {
  if (fd && !temporary_path.empty()) ::unlink(temporary_path.c_str());
}

Result<BlobFiles> BlobFiles::open(const std::string& folder) {
  BlobFiles files(folder);
  CASTORE_TRY(make_folders(folder + "/blobs", kFolderMode));
  CASTORE_TRY(files.sweep_temporary_files());
  return files;
}

Result<UnnamedFile> BlobFiles::create() const {
  UnnamedFile file;
  int fd = ::open((folder_ + "/blobs").c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kBlobMode);
  if (fd >= 0) {
    file.fd.reset(fd);
    return file;
  }
  if (!means_no_unnamed_files(errno))
    return fail_errno(errno, "creating a file in {}/blobs", folder_);

  // The lock tells a living writer's file from one that a dead process left.
  static std::atomic<uint64_t> next{0};
  CASTORE_TRY(make_folders(folder_ + "/tmp", kFolderMode));
  std::string path = fmt::format("{}/tmp/{}-{}", folder_, ::getpid(), next++);
  file.fd = CASTORE_TRY(open_file(path, O_RDWR | O_CREAT | O_EXCL, kBlobMode));
  file.temporary_path = path;
  if (::flock(file.fd.get(), LOCK_EX | LOCK_NB) != 0) return fail_errno(errno, "locking {}", path);
  return file;
}

Result<void> BlobFiles::publish(std::span<const Finished> files) const {
  // All content first: the first of these writes the journal, the others find it written.
  for (const Finished& finished : files)
    CASTORE_TRY(sync_file(finished.file->fd.get(), path_of(finished.digest)));

  std::set<std::string> touched_folders;
  for (const Finished& finished : files) {
    std::string path = path_of(finished.digest);
    std::string parent = path.substr(0, path.rfind('/'));
    const std::string& temporary = finished.file->temporary_path;
    std::string source = temporary.empty() ? proc_path(finished.file->fd.get()) : temporary;
    auto link = [&] {
      return ::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0 ||
             errno == EEXIST;
    };
    if (!link()) {
      if (errno != ENOENT) return fail_errno(errno, "naming {}", path);
      CASTORE_TRY(make_folders(parent, kFolderMode));
      touched_folders.insert(folder_ + "/blobs");
      if (!link()) return fail_errno(errno, "naming {}", path);
    }
    touched_folders.insert(parent);
  }
  for (const std::string& folder : touched_folders) CASTORE_TRY(sync_folder(folder));
  return {};
}

Result<std::optional<UniqueFd>> BlobFiles::open_blob(const Digest& digest) const {
  std::string path = path_of(digest);
  auto fd = open_file(path, O_RDONLY);
  if (fd) return std::move(*fd);
  if (fd.error().kind() == ErrorKind::kNotFound) return std::nullopt;
  return std::unexpected(std::move(fd).error());
}

std::string BlobFiles::path_of(const Digest& digest) const {
  std::string hex = digest.to_hex();
  return fmt::format("{}/blobs/{}/{}", folder_, hex.substr(0, 2), hex);
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
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
  }
  return {};
}

}  // namespace castore::backends::local
