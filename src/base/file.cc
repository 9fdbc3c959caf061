// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/file.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <system_error>

namespace castore {
namespace {

// The largest transfer one read or write call is asked for; the kernel stops at 2 GiB anyway.
constexpr size_t kTransferBytesMax = size_t{1} << 30;

}  // namespace

Result<UniqueFd> open_at(int directory_fd, const std::string& path, int flags, mode_t mode) {
  for (;;) {
    int fd = ::openat(directory_fd, path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return fail_errno(errno, "opening {}", path);
  }
}

Result<struct stat> stat_fd(int fd, std::string_view path) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return fail_errno(errno, "reading the attributes of {}", path);
  return status;
}

Result<size_t> read_at(int fd, uint64_t offset, MutableByteView out, std::string_view path) {
  size_t done = 0;
  while (done < out.size()) {
    ssize_t n = ::pread(fd, out.data() + done, std::min(out.size() - done, kTransferBytesMax),
                        static_cast<off_t>(offset + done));
    if (n == 0) break;
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "reading {}", path);
    }
    done += static_cast<size_t>(n);
  }
  return done;
}

Result<size_t> read_some(int fd, MutableByteView out, std::string_view path) {
  size_t done = 0;
  while (done < out.size()) {
    ssize_t n = ::read(fd, out.data() + done, std::min(out.size() - done, kTransferBytesMax));
    if (n == 0) break;
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "reading {}", path);
    }
    done += static_cast<size_t>(n);
  }
  return done;
}

Result<void> write_at(int fd, uint64_t offset, ByteView bytes, std::string_view path) {
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd, bytes.data(), std::min(bytes.size(), kTransferBytesMax),
                         static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "writing {}", path);
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> write_all(int fd, ByteView bytes, std::string_view path) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), std::min(bytes.size(), kTransferBytesMax));
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "writing {}", path);
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<std::string> read_whole_file(const std::string& path, size_t bytes_max) {
  UniqueFd fd = CASTORE_TRY(open_file(path, O_RDONLY));
  std::string content;
  constexpr size_t kStepBytes = 64 * 1024;
  for (;;) {
    size_t before = content.size();
    content.resize(before + kStepBytes);
    size_t n = CASTORE_TRY(read_some(
        fd.get(), {reinterpret_cast<std::byte*>(content.data()) + before, kStepBytes}, path));
    content.resize(before + n);
    if (content.size() > bytes_max)
      return fail(ErrorKind::kExhausted, "{} is larger than {} bytes", path, bytes_max);
    if (n < kStepBytes) return content;
  }
}

Result<void> sync_file(int fd, std::string_view path) {
  if (::fdatasync(fd) != 0) return fail_errno(errno, "writing {} to disk", path);
  return {};
}

Result<void> sync_folder(const std::string& path) {
  UniqueFd fd = CASTORE_TRY(open_file(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return fail_errno(errno, "writing folder {} to disk", path);
  return {};
}

Result<void> write_file_atomically(const std::string& path, ByteView content, mode_t mode) {
  std::string temporary = fmt::format("{}.tmp.{}", path, ::getpid());
  {
    UniqueFd fd = CASTORE_TRY(open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode));
    auto written = write_all(fd.get(), content, temporary);
    if (written) written = sync_file(fd.get(), temporary);
    if (!written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    int saved = errno;
    ::unlink(temporary.c_str());
    return fail_errno(saved, "renaming {} to {}", temporary, path);
  }
  std::string folder = std::filesystem::path(path).parent_path();
  return sync_folder(folder.empty() ? "." : folder);
}

Result<void> make_folders(const std::string& path, mode_t mode) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    std::string prefix = path.substr(0, end);
    if (::mkdir(prefix.c_str(), mode) != 0) {
      int saved = errno;
      // What exists may be a file; and a folder in one that may not be written to can say EACCES or
      // EROFS instead of EEXIST.
      struct stat status;
      if (::stat(prefix.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
        return fail_errno(saved, "creating folder {}", prefix);
    }
    if (end == std::string::npos) return {};
  }
}

void raise_descriptor_limit() {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace castore
