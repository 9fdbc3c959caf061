// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "cli/exit_code.h"

namespace castore::cli {
namespace {

sigset_t signals_that_stop() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action;
    if (::sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN)
      sigaddset(&set, signal_number);
  }
  return set;
}

// Without a chance to say so later, and from beside whatever the other threads do.
[[noreturn]] void leave_at_once(int signal_number, std::string_view message) {
  (void)!::write(STDERR_FILENO, message.data(), message.size());
  ::_exit(kExitBySignal + signal_number);
}

int read_signal(int signal_fd) {
  signalfd_siginfo info;
  if (::read(signal_fd, &info, sizeof info) != sizeof info) return 0;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace

Result<std::unique_ptr<StopOnSignal>> StopOnSignal::watch(
    std::optional<std::chrono::seconds> grace) {
  sigset_t watched = signals_that_stop();
  UniqueFd signals(::signalfd(-1, &watched, SFD_CLOEXEC));
  if (!signals) return fail_errno(errno, "preparing to be stopped by signals");
  UniqueFd end(::eventfd(0, EFD_CLOEXEC));
  if (!end) return fail_errno(errno, "preparing to be stopped by signals");
  sigset_t before;
  if (int error = ::pthread_sigmask(SIG_BLOCK, &watched, &before); error != 0)
    return fail_errno(error, "preparing to be stopped by signals");
  return std::unique_ptr<StopOnSignal>(
      new StopOnSignal(grace, before, std::move(signals), std::move(end)));
}

StopOnSignal::StopOnSignal(std::optional<std::chrono::seconds> grace,
                           const sigset_t& blocked_before, UniqueFd signals, UniqueFd end)
    : grace_(grace),
      blocked_before_(blocked_before),
      signals_(std::move(signals)),
      end_(std::move(end)),
      thread_([this] { run(); }) {}

StopOnSignal::~StopOnSignal() {
  (void)::eventfd_write(end_.get(), 1);
  thread_.join();
  (void)::pthread_sigmask(SIG_SETMASK, &blocked_before_, nullptr);
}

void StopOnSignal::run() {
  (void)::pthread_setname_np(::pthread_self(), "signals");
  for (;;) {
    struct pollfd polled[2] = {{signals_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
    bool bounded = caught_ != 0 && grace_.has_value();
    int timeout_ms = bounded ? static_cast<int>(std::chrono::milliseconds(*grace_).count()) : -1;
    int ready = ::poll(polled, 2, timeout_ms);
    if (ready < 0) continue;  // EINTR
    if (polled[1].revents != 0) return;
    if (ready == 0)
      leave_at_once(caught_, "castore: interrupted; what was going on did not end in time\n");
    int signal_number = read_signal(signals_.get());
    if (signal_number == 0) continue;
    if (caught_ != 0) leave_at_once(signal_number, "castore: interrupted twice, ended at once\n");
    caught_ = signal_number;
    source_.request_stop();
  }
}

}  // namespace castore::cli
