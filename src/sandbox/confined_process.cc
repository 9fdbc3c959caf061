// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sandbox/confined_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error_word.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "sandbox/namespaces.h"
#include "sandbox/privileges.h"

namespace castore::sandbox {
namespace {

constexpr size_t kWordBytesMax = 32 * 1024;  // always fits into a pipe

// The signals that are passed on, and the one that tells of the end, are taken one by one.
class WaitingSignals {
 public:
  WaitingSignals() {
    // Where it is ignored, the end of a child goes untold.
    (void)::signal(SIGCHLD, SIG_DFL);
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGCHLD);
    for (int number : {SIGTERM, SIGINT, SIGHUP}) {
      struct sigaction action;
      // Ignored ones stay so, in both processes.
      if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN)
        ::sigaddset(&set_, number);
    }
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  WaitingSignals(const WaitingSignals&) = delete;
  WaitingSignals& operator=(const WaitingSignals&) = delete;
  ~WaitingSignals() { as_before(); }

  void as_before() const { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  int next() const {
    int number = 0;
    while (::sigwait(&set_, &number) != 0) {
    }
    return number;
  }

 private:
  sigset_t set_;
  sigset_t before_;
};

Result<void> close_others(std::vector<int> kept) {
  UniqueFd null = CASTORE_TRY(open_file("/dev/null", O_RDONLY));
  if (::dup2(null.get(), STDIN_FILENO) < 0) return fail_errno(errno, "letting go of the input");
  null.reset();
  std::ranges::sort(kept);
  unsigned from = STDERR_FILENO + 1;
  for (int fd : kept) {
    if (fd <= STDERR_FILENO) continue;
    if (static_cast<unsigned>(fd) > from)
      (void)::close_range(from, static_cast<unsigned>(fd) - 1, 0);
    from = static_cast<unsigned>(fd) + 1;
  }
  (void)::close_range(from, ~0u, 0);
  return {};
}

// Root without capabilities reads only what is root's or everybody's; a store is its owner's alone.
struct Owner {
  uid_t user;
  gid_t group;
};
std::optional<Owner> owner_to_become(const Confinement& confinement) {
  struct stat status;
  if (::geteuid() != 0 || confinement.places.folders.empty() ||
      ::stat(confinement.places.folders[0].c_str(), &status) != 0 || status.st_uid == 0)
    return std::nullopt;
  return Owner{status.st_uid, status.st_gid};
}

Result<void> leave_the_rest(const Confinement& confinement) {
  std::optional<Owner> owner = owner_to_become(confinement);
  if (confinement.mode == Mode::kNamespace) {
    const int flags = CLONE_NEWIPC | (confinement.keep_network ? 0 : CLONE_NEWNET);
    if (::unshare(flags) != 0) return fail_errno(errno, "making namespaces");
    CASTORE_TRY(enter_private_root(confinement.places));
  } else {
    const std::string& folder = confinement.places.folders[0];
    if (::chroot(folder.c_str()) != 0 || ::chdir("/") != 0)
      return fail_errno(errno, "changing the root to {}", folder);
  }
  if (owner) CASTORE_TRY(become(owner->user, owner->group));
  return give_up_privileges();
}

[[noreturn]] void run_child(const Confinement& confinement, UniqueFd word_end, pid_t parent,
                            const std::function<Result<void>()>& serve) {
  (void)::setsid();
  Result<void> served = [&]() -> Result<void> {
    std::vector<int> kept = confinement.kept_descriptors;
    kept.push_back(word_end.get());
    CASTORE_TRY(close_others(std::move(kept)));
    CASTORE_TRY(leave_the_rest(confinement));
    // A pid namespace ends with the process outside; without one, this has to be asked for.
    if (confinement.mode == Mode::kChroot) {
      (void)::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
      if (::getppid() != parent) ::_exit(1);
    }
    return serve();
  }();
  if (served) {
    spdlog::default_logger()->flush();
    ::_exit(0);
  }
  std::string word = word_of_error(served.error());
  (void)!::write(word_end.get(), word.data(), std::min(word.size(), kWordBytesMax));
  ::_exit(1);
}

Result<void> read_outcome(int status, int word_fd) {
  std::string word(kWordBytesMax, '\0');
  word.resize(CASTORE_TRY(
      read_some(word_fd, {reinterpret_cast<std::byte*>(word.data()), word.size()}, "the pipe")));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (!word.empty()) return std::unexpected(error_of_word(word));
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
    return fail(ErrorKind::kInternal,
                "the confined process made a system call that it never needs, and was killed "
                "(the audit log names it); please report this");
  if (WIFSIGNALED(status))
    return fail(ErrorKind::kInternal, "the confined process died: {}",
                ::strsignal(WTERMSIG(status)));
  return fail(ErrorKind::kInternal, "the confined process ended with code {}", WEXITSTATUS(status));
}

Result<void> wait_for(pid_t child, const WaitingSignals& signals, UniqueFd word_end) {
  for (;;) {
    const int number = signals.next();
    if (number != SIGCHLD) {
      (void)::kill(child, number);
      continue;
    }
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) return read_outcome(status, word_end.get());
  }
}

}  // namespace

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::kNamespace:
      return "namespace";
    case Mode::kChroot:
      return "chroot";
  }
  return "unknown";
}

Result<void> run_confined(const Confinement& confinement,
                          const std::function<Result<void>()>& serve) {
  if (confinement.mode == Mode::kChroot && confinement.places.folders.size() != 1)
    return fail(ErrorKind::kInvalidArgument, "a sandbox by chroot has room for one folder, not {}",
                confinement.places.folders.size());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t parent = ::getpid();

  std::optional<PidNamespace> pid_namespace;
  if (confinement.mode == Mode::kNamespace)
    pid_namespace.emplace(CASTORE_TRY_WHILE(PidNamespace::make(), "entering the sandbox"));
  WaitingSignals signals;
  pid_t child = -1;
  if (pid_namespace) {
    child = CASTORE_TRY_WHILE(pid_namespace->fork_into(), "entering the sandbox");
  } else {
    child = ::fork();
    if (child < 0) return fail_errno(errno, "entering the sandbox");
  }
  if (child == 0) {
    signals.as_before();
    read_end.reset();
    run_child(confinement, std::move(write_end), parent, serve);
  }
  write_end.reset();
  return wait_for(child, signals, std::move(read_end));
}

}  // namespace castore::sandbox
