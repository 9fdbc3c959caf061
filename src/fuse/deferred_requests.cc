// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/deferred_requests.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/guarded.h"
#include "base/signals_held_back.h"

namespace castore::fuse {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kStuckFactorMax = 4;

// Passes on the first answer, and refuses the others.
class FirstAnswer final : public ReplySink {
 public:
  explicit FirstAnswer(std::unique_ptr<ReplySink> sink) : sink_(std::move(sink)) {}

  size_t bytes_max() const override { return sink_->bytes_max(); }
  bool send(std::span<const ByteView> pieces) override {
    return !given_.exchange(true) && sink_->send(pieces);
  }

 private:
  std::unique_ptr<ReplySink> sink_;
  std::atomic<bool> given_ = false;
};

}  // namespace

struct DeferredRequests::Job {
  Job(uint64_t number, std::unique_ptr<Work> what, std::unique_ptr<ReplySink> to,
      RunningRequests& running_requests)
      : work(std::move(what)),
        unique(number),
        sink(std::move(to)),
        scope(running_requests, number),
        on_stop(scope.token(), [this] { Answer(sink, unique).error(fs::Fault::kInterrupted); }) {}

  const std::unique_ptr<Work> work;  // first, so that it goes last
  const uint64_t unique;
  FirstAnswer sink;
  RunningRequests::Scope scope;
  std::stop_callback<std::function<void()>> on_stop;
  // These are guarded as the queue is.
  Clock::time_point deadline;
  bool running = false;
  bool stuck = false;
};

// Shared with the threads, which may outlive everything else.
struct DeferredRequests::State {
  struct Queue {
    std::deque<std::shared_ptr<Job>> waiting;
    // In the order of their deadlines, as all have the same time.
    std::deque<std::pair<Clock::time_point, std::weak_ptr<Job>>> by_deadline;
    size_t idle = 0;
    size_t threads = 0;  // that serve
    size_t running = 0;
    size_t stuck = 0;
    uint64_t timeouts = 0;
    bool has_timer = false;
    bool closed = false;
  };

  Guarded<Queue> queue;
  std::condition_variable changed;

  static void serve(std::shared_ptr<State> state);
  static void expire(std::shared_ptr<State> state);
};

void DeferredRequests::State::serve(std::shared_ptr<State> state) {
  ::pthread_setname_np(::pthread_self(), "castore-slow");
  for (;;) {
    std::shared_ptr<Job> job;
    {
      auto queue = state->queue.lock();
      ++queue->idle;
      queue.wait(state->changed, [&] { return queue->closed || !queue->waiting.empty(); });
      --queue->idle;
      if (queue->waiting.empty()) {
        --queue->threads;
        break;
      }
      job = std::move(queue->waiting.front());
      queue->waiting.pop_front();
      job->running = true;
      ++queue->running;
    }
    Context ctx;
    ctx.cause = Context::Cause::kMount;
    ctx.deadline = job->deadline;
    ctx.stop = job->scope.token();
    // One whose time was over while it waited has been answered.
    if (ctx.check()) job->work->serve(ctx, job->sink);
    {
      auto queue = state->queue.lock();
      job->running = false;
      --queue->running;
      if (job->stuck) --queue->stuck;
    }
  }
  state->changed.notify_all();
}

// Answers those whose time is over.
void DeferredRequests::State::expire(std::shared_ptr<State> state) {
  ::pthread_setname_np(::pthread_self(), "castore-timer");
  auto queue = state->queue.lock();
  while (!queue->closed) {
    if (queue->by_deadline.empty()) {
      queue.wait(state->changed, [&] { return queue->closed || !queue->by_deadline.empty(); });
      continue;
    }
    if (auto wait = queue->by_deadline.front().first - Clock::now(); wait > wait.zero()) {
      queue.wait_for(state->changed, wait, [&] { return queue->closed; });
      continue;
    }
    std::shared_ptr<Job> job = queue->by_deadline.front().second.lock();
    queue->by_deadline.pop_front();
    if (!job) continue;
    if (job->running) {
      job->stuck = true;
      ++queue->stuck;
    }
    std::erase(queue->waiting, job);
    queue.unlock();
    // Without the lock, as the last one to let go of a job may end everything.
    bool is_first = Answer(job->sink, job->unique).error(fs::Fault::kTimedOut);
    if (is_first)
      spdlog::error("{}: the store did not answer in time (ETIMEDOUT)", job->work->describe());
    job->scope.stop();
    job.reset();
    queue.relock();
    if (is_first) ++queue->timeouts;
  }
  queue->has_timer = false;
  queue.unlock();
  state->changed.notify_all();
}

DeferredRequests::DeferredRequests(Options options)
    : options_(options), state_(std::make_shared<State>()) {}

DeferredRequests::~DeferredRequests() {
  state_->queue.lock()->closed = true;
  state_->changed.notify_all();
}

void DeferredRequests::submit(uint64_t unique, std::unique_ptr<Work> work,
                              std::unique_ptr<ReplySink> sink, RunningRequests& running) {
  auto job = std::make_shared<Job>(unique, std::move(work), std::move(sink), running);
  bool needs_thread = false;
  bool needs_timer = false;
  {
    auto queue = state_->queue.lock();
    if (queue->closed) return;
    job->deadline = Clock::now() + options_.timeout;
    queue->waiting.push_back(job);
    queue->by_deadline.emplace_back(job->deadline, job);
    size_t threads_max =
        std::min(options_.threads_max + queue->stuck, options_.threads_max * kStuckFactorMax);
    needs_thread = queue->idle < queue->waiting.size() && queue->threads < threads_max;
    if (needs_thread) ++queue->threads;
    needs_timer = !std::exchange(queue->has_timer, true);
  }
  state_->changed.notify_all();
  SignalsHeldBack held_back;
  if (needs_thread) std::thread(State::serve, state_).detach();
  if (needs_timer) std::thread(State::expire, state_).detach();
}

bool DeferredRequests::close(std::chrono::milliseconds grace) {
  auto queue = state_->queue.lock();
  queue->closed = true;
  state_->changed.notify_all();
  return queue.wait_for(state_->changed, grace,
                        [&] { return queue->threads == 0 && !queue->has_timer; });
}

DeferredRequests::Counts DeferredRequests::counts() {
  auto queue = state_->queue.lock();
  return {.queued = queue->waiting.size(),
          .running = queue->running,
          .stuck = queue->stuck,
          .threads = queue->threads,
          .timeouts = queue->timeouts};
}

}  // namespace castore::fuse
