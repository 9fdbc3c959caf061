// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sandbox/namespaces.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/file.h"
#include "sandbox/privileges.h"

namespace castore::sandbox {
namespace {

bool may_make_namespaces() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {};
  return ::syscall(SYS_capget, &header, held) == 0 &&
         (held[0].effective & (1u << CAP_SYS_ADMIN)) != 0;
}

Result<void> write_word(const char* path, const std::string& word) {
  UniqueFd file = CASTORE_TRY(open_file(path, O_WRONLY));
  return write_all(file.get(), bytes_of(word), path);
}

// Under the same user and group, the only ones an ordinary user may give it.
Result<void> enter_user_namespace() {
  const std::string user = fmt::format("{0} {0} 1", ::geteuid());
  const std::string group = fmt::format("{0} {0} 1", ::getegid());
  if (::unshare(CLONE_NEWUSER) != 0) return fail_errno(errno, "making a user namespace");
  CASTORE_TRY(write_word("/proc/self/setgroups", "deny"));
  CASTORE_TRY(write_word("/proc/self/uid_map", user));
  return write_word("/proc/self/gid_map", group);
}

[[noreturn]] void hold_open(int life) {
  (void)::setsid();
  (void)give_up_privileges();
  (void)::close_range(static_cast<unsigned>(life) + 1, ~0u, 0);
  for (int fd = 0; fd < life; ++fd) (void)::close(fd);
  char nothing;
  while (::read(life, &nothing, 1) < 0 && errno == EINTR) {
  }
  ::_exit(0);
}

}  // namespace

Result<PidNamespace> PidNamespace::make() {
  if (!may_make_namespaces()) {
    if (auto entered = enter_user_namespace(); !entered)
      return fail(ErrorKind::kDenied,
                  "{}; a process without privilege needs that to make namespaces (sysctl "
                  "user.max_user_namespaces, kernel.unprivileged_userns_clone and "
                  "kernel.apparmor_restrict_unprivileged_userns)",
                  entered.error().message());
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  if (::unshare(CLONE_NEWPID) != 0) return fail_errno(errno, "making a pid namespace");
  pid_t first = ::fork();
  if (first < 0) return fail_errno(errno, "making a pid namespace");
  if (first == 0) {
    write_end.reset();
    hold_open(read_end.get());
  }
  return PidNamespace(first, std::move(write_end));
}

PidNamespace::~PidNamespace() {
  if (!life_) return;
  life_.reset();
  while (::waitpid(first_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<pid_t> PidNamespace::fork_into() {
  // The list of robust locks that a process registers for its main thread, and that fork(3) would
  // register anew.
  void* robust_list = nullptr;
  size_t robust_list_bytes = 0;
  (void)::syscall(SYS_get_robust_list, 0, &robust_list, &robust_list_bytes);

  // clone3 directly: fork(3) does not let the number be chosen. What else it does has no meaning
  // where there is one thread; and the number that the C library remembers stays true.
  const pid_t number = ::getpid();
  clone_args arguments = {};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uintptr_t>(&number);
  arguments.set_tid_size = 1;
  const long child = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child < 0) return fail_errno(errno, "starting process {} in a pid namespace", number);
  if (child == 0) {
    (void)::syscall(SYS_set_robust_list, robust_list, robust_list_bytes);
    // This process's end must not wait for the one that still has the pipe.
    life_.reset();
    first_ = -1;
  }
  return static_cast<pid_t>(child);
}

}  // namespace castore::sandbox
