// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/queue_worker.h"

#include <poll.h>
#include <pthread.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "base/signals_held_back.h"
#include "fuse/abi.h"
#include "fuse/negotiate.h"
#include "virtiofs/chain.h"
#include "virtiofs/event_fd.h"
#include "virtiofs/queue_reply.h"

namespace castore::virtiofs {

class QueueWorker::Run {
 public:
  Run(std::shared_ptr<RequestServer> server, std::shared_ptr<LiveRing> ring, const Options& options,
      UniqueFd stop_event)
      : server_(std::move(server)),
        ring_(std::move(ring)),
        options_(options),
        stop_event_(std::move(stop_event)),
        was_kicked_(options.look_at_once),
        // Memory that is never touched costs nothing.
        request_(std::make_unique_for_overwrite<std::byte[]>(kRequestBytesMax)),
        scratch_(std::make_unique_for_overwrite<std::byte[]>(fuse::kReadBytesMax)) {}

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
  Result<void> serve_available();
  Result<void> serve(LiveRing::Taken taken);

  const std::shared_ptr<RequestServer> server_;
  const std::shared_ptr<LiveRing> ring_;
  const Options options_;
  const UniqueFd stop_event_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> was_kicked_;
  Chain chain_;
  std::unique_ptr<std::byte[]> request_;
  std::unique_ptr<std::byte[]> scratch_;
  Guarded<bool> has_ended_{false};
  std::condition_variable ended_;
};

void QueueWorker::Run::run() {
  ::pthread_setname_np(::pthread_self(), "castore-guest");
  if (auto served = serve_until_stop(); !served) server_->queue_failed(std::move(served).error());
  *has_ended_.lock() = true;
  ended_.notify_all();
}

Result<void> QueueWorker::Run::serve_until_stop() {
  if (options_.look_at_once) CASTORE_TRY(serve_available());
  while (CASTORE_TRY(wait_for_kick())) {
    was_kicked_.store(true);
    CASTORE_TRY(serve_available());
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

Result<void> QueueWorker::Run::serve_available() {
  do {
    while (!stopping_.load(std::memory_order_relaxed)) {
      auto taken = CASTORE_TRY(ring_->take());
      if (!taken) break;
      CASTORE_TRY(serve(std::move(*taken)));
    }
  } while (!stopping_.load(std::memory_order_relaxed) && ring_->want_notifications());
  return {};
}

Result<void> QueueWorker::Run::serve(LiveRing::Taken taken) {
  const auto memory = taken.memory;
  CASTORE_TRY(read_chain(taken.descriptors, taken.head, options_.indirect, *memory, chain_));
  const ByteView request(request_.get(), copy_request(chain_, {request_.get(), kRequestBytesMax}));
  if (memory->lost())
    return fail(ErrorKind::kInvalidArgument, "the front end took away the guest's memory");
  uint64_t unique = 0;
  if (request.size() >= sizeof(fuse::abi::InHeader))
    std::memcpy(&unique, request.data() + offsetof(fuse::abi::InHeader, unique), sizeof unique);
  QueueReply reply(ring_, std::move(taken), chain_.writable, unique);
  server_->serve(request, reply, {scratch_.get(), fuse::kReadBytesMax});
  return {};
}

Result<std::unique_ptr<QueueWorker>> QueueWorker::start(std::shared_ptr<RequestServer> server,
                                                        std::shared_ptr<LiveRing> ring,
                                                        const Options& options) {
  auto run =
      std::make_shared<Run>(std::move(server), std::move(ring), options, CASTORE_TRY(make_event()));
  SignalsHeldBack held_back;
  std::thread([run] { run->run(); }).detach();
  return std::unique_ptr<QueueWorker>(new QueueWorker(std::move(run)));
}

QueueWorker::~QueueWorker() {
  run_->request_stop();
}

Result<void> QueueWorker::stop(std::chrono::milliseconds grace) {
  run_->request_stop();
  if (!run_->wait_for_end(grace))
    return fail(ErrorKind::kUnavailable, "a guest's request is stuck in the store");
  return {};
}

bool QueueWorker::was_kicked() const {
  return run_->was_kicked();
}

}  // namespace castore::virtiofs
