// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/queue_worker.h"

#include <poll.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <utility>

#include "base/guarded.h"
#include "base/signals_held_back.h"
#include "virtiofs/event_fd.h"

namespace castore::virtiofs {

class QueueWorker::Run {
 public:
  Run(std::shared_ptr<RequestServer> server, std::shared_ptr<LiveRing> ring, const Options& options,
      UniqueFd stop_event)
      : ring_server_(std::move(server), std::move(ring), options.indirect),
        options_(options),
        stop_event_(std::move(stop_event)),
        was_kicked_(options.look_at_once) {}

  void run();
  void request_stop() {
    stopping_.store(true);
    raise_event(stop_event_.get());
  }
  bool wait_for_end(std::chrono::milliseconds grace) {
    auto has_ended = has_ended_.lock();
    return has_ended.wait_for(ended_, grace, [&] { return *has_ended; });
  }
  bool was_kicked() const { return was_kicked_.load(); }

 private:
  // False when a stop was asked for.
  Result<bool> wait_for_kick();
  Result<void> serve_until_stop();

  RingServer ring_server_;
  const Options options_;
  const UniqueFd stop_event_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> was_kicked_;
  Guarded<bool> has_ended_{false};
  std::condition_variable ended_;
};

void QueueWorker::Run::run() {
  ::pthread_setname_np(::pthread_self(), "castore-guest");
  if (auto served = serve_until_stop(); !served)
    ring_server_.server().queue_failed(std::move(served).error());
  *has_ended_.lock() = true;
  ended_.notify_all();
}

Result<void> QueueWorker::Run::serve_until_stop() {
  if (options_.look_at_once) CASTORE_TRY(ring_server_.serve_available(stopping_));
  while (CASTORE_TRY(wait_for_kick())) {
    was_kicked_.store(true);
    CASTORE_TRY(ring_server_.serve_available(stopping_));
  }
  return {};
}

Result<bool> QueueWorker::Run::wait_for_kick() {
  for (;;) {
    std::array<pollfd, 2> polled{{{.fd = options_.kick->get(), .events = POLLIN, .revents = 0},
                                  {.fd = stop_event_.get(), .events = POLLIN, .revents = 0}}};
    int n = ::poll(polled.data(), polled.size(), -1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "waiting for a guest's requests");
    if (polled[1].revents != 0) return false;
    if (!clear_event(options_.kick->get()) || (polled[0].revents & POLLIN) == 0)
      return fail(ErrorKind::kInvalidArgument, "a queue's kick is no event descriptor");
    return true;
  }
}

Result<std::unique_ptr<QueueWorker>> QueueWorker::start(std::shared_ptr<RequestServer> server,
                                                        std::shared_ptr<LiveRing> ring,
                                                        const Options& options) {
  auto run =
      std::make_shared<Run>(std::move(server), std::move(ring), options, CASTORE_TRY(make_event()));
  return std::unique_ptr<QueueWorker>(new QueueWorker(std::move(run)));
}

QueueWorker::QueueWorker(std::shared_ptr<Run> run) : run_(std::move(run)) {
  SignalsHeldBack held_back;
  thread_ = std::thread([kept = run_] { kept->run(); });
}

QueueWorker::~QueueWorker() {
  run_->request_stop();
  if (thread_.joinable()) thread_.detach();
}

Result<void> QueueWorker::stop(std::chrono::milliseconds grace) {
  run_->request_stop();
  if (!run_->wait_for_end(grace))
    return fail(ErrorKind::kUnavailable, "a guest's request is stuck in the store");
  // Only the thread's own things are still to go.
  thread_.join();
  return {};
}

bool QueueWorker::was_kicked() const {
  return run_->was_kicked();
}

}  // namespace castore::virtiofs
