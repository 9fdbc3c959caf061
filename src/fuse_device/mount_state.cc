// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/mount_state.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace castore::fuse_device {
namespace {

constexpr int kAnswersWithinMs = 2000;

}  // namespace

bool is_dead_mount(int errno_value) {
  // ECANCELED: it was served by io_uring, and the kernel has not yet let go of the rings.
  return errno_value == ENOTCONN || errno_value == ECONNABORTED || errno_value == ECANCELED;
}

MountState state_of_mount(const std::string& path) {
  const char* const name = path.c_str();
  pid_t child = ::fork();
  if (child < 0) return MountState::kSilent;
  if (child == 0) {
    struct statfs totals;
    ::_exit(::statfs(name, &totals) != 0 && is_dead_mount(errno) ? 1 : 0);
  }
  UniqueFd child_fd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  struct pollfd polled = {child_fd.get(), POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&polled, 1, kAnswersWithinMs);
  } while (ready < 0 && errno == EINTR);
  // A request that the server has read and does not answer holds even a killed process.
  if (ready != 1) (void)::kill(child, SIGKILL);
  int status = 0;
  if (::waitpid(child, &status, ready == 1 ? 0 : WNOHANG) != child || !WIFEXITED(status))
    return MountState::kSilent;
  return WEXITSTATUS(status) == 1 ? MountState::kDead : MountState::kAlive;
}

}  // namespace castore::fuse_device
