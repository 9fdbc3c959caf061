// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/on_signal.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/signals_held_back.h"

namespace castore::cli {
namespace {

sigset_t only(int signal_number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  return set;
}

}  // namespace

void hold_back_signal(int signal_number) {
  const sigset_t set = only(signal_number);
  (void)::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // One that is ignored would not come at all.
  (void)::signal(signal_number, SIG_DFL);
}

Result<std::unique_ptr<OnSignal>> OnSignal::watch(int signal_number, std::function<void()> action) {
  const sigset_t set = only(signal_number);
  UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!signals) return fail_errno(errno, "watching for signal {}", signal_number);
  UniqueFd end(::eventfd(0, EFD_CLOEXEC));
  if (!end) return fail_errno(errno, "watching for signal {}", signal_number);
  return std::unique_ptr<OnSignal>(
      new OnSignal(std::move(signals), std::move(end), std::move(action)));
}

OnSignal::OnSignal(UniqueFd signals, UniqueFd end, std::function<void()> action)
    : signals_(std::move(signals)), end_(std::move(end)), action_(std::move(action)) {
  SignalsHeldBack held_back;
  thread_ = std::thread([this] { run(); });
}

OnSignal::~OnSignal() {
  (void)::eventfd_write(end_.get(), 1);
  thread_.join();
}

void OnSignal::run() {
  (void)::pthread_setname_np(::pthread_self(), "report");
  for (;;) {
    struct pollfd polled[2] = {{signals_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
    if (::poll(polled, 2, -1) < 0) continue;  // EINTR
    if (polled[1].revents != 0) return;
    signalfd_siginfo info;
    if (::read(signals_.get(), &info, sizeof info) == sizeof info) action_();
  }
}

}  // namespace castore::cli
