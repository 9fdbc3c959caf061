// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/splice_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "fuse/negotiate.h"

namespace castore::fuse_device {
namespace {

// A pipe holds pages, however little is on one: the header has one for itself, and a range that
// does not begin with a page has one more.
constexpr size_t kPageBytes = 4096;
constexpr size_t kExtraBytes = 2 * kPageBytes;

}  // namespace

// The most a reply has, or what somebody without privilege may have (1 MiB as a rule).
bool SplicePipe::make() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  read_end_ = UniqueFd(ends[0]);
  write_end_ = UniqueFd(ends[1]);
  int bytes = ::fcntl(ends[1], F_SETPIPE_SZ, fuse::kReadBytesMax + kExtraBytes);
  if (bytes < 0) bytes = ::fcntl(ends[1], F_SETPIPE_SZ, fuse::kReadBytesMax);
  if (bytes < 0) bytes = ::fcntl(ends[1], F_GETPIPE_SZ);
  if (bytes < 0) return false;
  bytes_max_ = static_cast<size_t>(bytes);
  return true;
}

bool SplicePipe::fill(ByteView header, const fs::FileRange& range) {
  if (is_impossible_) return false;
  if (bytes_max_ == 0 && !make()) {
    is_impossible_ = true;
    return false;
  }
  if (range.size + kExtraBytes > bytes_max_) return false;
  bool fits = ::write(write_end_.get(), header.data(), header.size()) ==
              static_cast<ssize_t>(header.size());
  auto offset = static_cast<off64_t>(range.offset);
  for (size_t left = range.size; fits && left > 0;) {
    ssize_t n = ::splice(range.file.fd, &offset, write_end_.get(), nullptr, left,
                         SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n < 0 && errno == EINTR) continue;
    fits = n > 0;
    if (fits) left -= static_cast<size_t>(n);
  }
  bytes_ = header.size() + range.size;
  // One with half a message in it is of no use.
  if (!fits) bytes_max_ = 0;
  return fits;
}

int SplicePipe::empty_into(int fd) {
  ssize_t n;
  do {
    n = ::splice(read_end_.get(), nullptr, fd, nullptr, bytes_, SPLICE_F_MOVE);
  } while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(bytes_)) return 0;
  const int error = n < 0 ? errno : EIO;
  bytes_max_ = 0;
  return error;
}

}  // namespace castore::fuse_device
