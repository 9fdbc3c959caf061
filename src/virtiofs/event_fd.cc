// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/event_fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/file.h"

namespace castore::virtiofs {
namespace {

// The owner of the other end may have made it block again.
bool is_ready(int fd, short events) {
  pollfd polled{.fd = fd, .events = events, .revents = 0};
  return ::poll(&polled, 1, 0) == 1 && (polled.revents & events) != 0;
}

}  // namespace

Result<UniqueFd> make_event() {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return fail_errno(errno, "making an event descriptor");
  return event;
}

Result<void> check_event(int fd) {
  const struct stat status = CASTORE_TRY(stat_fd(fd, "an event descriptor"));
  // Event descriptors, and little else, have no file type.
  if ((status.st_mode & S_IFMT) != 0)
    return fail(ErrorKind::kInvalidArgument, "the front end gave a file where an event has to be");
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return fail_errno(errno, "making an event descriptor not block");
  return {};
}

bool raise_event(int fd) {
  const uint64_t one = 1;
  if (!is_ready(fd, POLLOUT)) return true;
  return ::write(fd, &one, sizeof one) == sizeof one || errno == EAGAIN || errno == EINTR;
}

bool clear_event(int fd) {
  uint64_t count = 0;
  if (!is_ready(fd, POLLIN)) return true;
  return ::read(fd, &count, sizeof count) == sizeof count || errno == EAGAIN || errno == EINTR;
}

}  // namespace castore::virtiofs
