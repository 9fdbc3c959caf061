// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/deferred_requests.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

#include "base/guarded.h"
#include "base/signals_held_back.h"
#include "fs/rate_limit.h"

namespace castore::fuse {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kStuckFactorMax = 4;
constexpr uint32_t kLogLinesPerSecond = 10;

// Passes on the first answer, and refuses the others.
class FirstAnswer final : public ReplySink {
 public:
  explicit FirstAnswer(std::unique_ptr<ReplySink> sink) : sink_(std::move(sink)) {}

  size_t bytes_max() const override { return sink_->bytes_max(); }
  bool send(std::span<const ByteView> pieces) override {
    ReplySink* sink = claim();
    return sink != nullptr && sink->send(pieces);
  }

  // For who has something to do before it gives the first answer, which it then owes. Null: given.
  ReplySink* claim() { return given_.exchange(true) ? nullptr : sink_.get(); }

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
  std::list<std::shared_ptr<Job>>::iterator place;  // in `in_time`, where `is_in_time`
  bool is_in_time = false;
  bool running = false;
  bool stuck = false;
};

// Shared with the threads, which may outlive everything else.
//
// The last one to let go of a job may end everything, so nobody does it with the lock held.
struct DeferredRequests::State {
  // Both lists are in the order of arrival, and so of the deadlines, as all have the same time.
  struct Queue {
    std::deque<std::shared_ptr<Job>> waiting;
    std::list<std::shared_ptr<Job>> in_time;  // waiting and running
    size_t idle = 0;
    size_t threads = 0;  // that serve
    size_t running = 0;
    size_t stuck = 0;
    bool has_timer = false;
    bool closed = false;

    void leave_in_time(Job& job) {
      if (std::exchange(job.is_in_time, false)) in_time.erase(job.place);
    }
  };

  explicit State(const Options& options_in) : options(options_in) {}

  const Options options;
  Guarded<Queue> queue;
  std::condition_variable changed;
  std::atomic<uint64_t> timeouts = 0;
  fs::RateLimit log_limit{kLogLinesPerSecond};

  // Whether one more thread is to be started; it counts from then on.
  bool takes_thread(Queue& locked) const;
  void answer_that_time_is_over(Job& job);

  static void serve(std::shared_ptr<State> state);
  static void expire(std::shared_ptr<State> state);
  // False when the system has no room for another thread.
  static bool start(void (*run)(std::shared_ptr<State>), const std::shared_ptr<State>& state);
  static bool start_serving(const std::shared_ptr<State>& state);
};

bool DeferredRequests::State::takes_thread(Queue& locked) const {
  const size_t threads_max =
      std::min(options.threads_max + locked.stuck, options.threads_max * kStuckFactorMax);
  if (locked.idle >= locked.waiting.size() || locked.threads >= threads_max) return false;
  ++locked.threads;
  return true;
}

// Whoever sees the answer sees it counted, and in the log.
void DeferredRequests::State::answer_that_time_is_over(Job& job) {
  ReplySink* sink = job.sink.claim();
  if (sink == nullptr) return;
  ++timeouts;
  if (auto left_out = log_limit.allow(Clock::now())) {
    if (*left_out > 0) spdlog::error("{} lines about the store's time were left out", *left_out);
    spdlog::error("{}: the store did not answer in time (ETIMEDOUT)", job.work->describe());
  }
  (void)Answer(*sink, job.unique).error(fs::Fault::kTimedOut);
}

bool DeferredRequests::State::start(void (*run)(std::shared_ptr<State>),
                                    const std::shared_ptr<State>& state) {
  SignalsHeldBack held_back;
  try {
    std::thread(run, state).detach();
    return true;
  } catch (const std::system_error& error) {
    if (state->log_limit.allow(Clock::now()))
      spdlog::error("no thread for requests that wait for the store: {}", error.what());
    return false;
  }
}

// After `takes_thread`.
bool DeferredRequests::State::start_serving(const std::shared_ptr<State>& state) {
  if (start(serve, state)) return true;
  --state->queue.lock()->threads;
  return false;
}

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
    // One that was interrupted while it waited has been answered; one whose time is over may meet
    // us before the timer.
    if (ctx.check())
      job->work->serve(ctx, job->sink);
    else if (!ctx.stop_requested())
      state->answer_that_time_is_over(*job);
    {
      auto queue = state->queue.lock();
      job->running = false;
      --queue->running;
      if (job->stuck) --queue->stuck;
      queue->leave_in_time(*job);
    }
  }
  state->changed.notify_all();
}

// Answers those whose time is over.
void DeferredRequests::State::expire(std::shared_ptr<State> state) {
  ::pthread_setname_np(::pthread_self(), "castore-timer");
  auto queue = state->queue.lock();
  while (!queue->closed) {
    if (queue->in_time.empty()) {
      queue.wait(state->changed, [&] { return queue->closed || !queue->in_time.empty(); });
      continue;
    }
    if (auto wait = queue->in_time.front()->deadline - Clock::now(); wait > wait.zero()) {
      queue.wait_for(state->changed, wait, [&] { return queue->closed; });
      continue;
    }
    std::shared_ptr<Job> job = queue->in_time.front();
    queue->leave_in_time(*job);
    bool needs_thread = false;
    if (job->running) {
      job->stuck = true;
      ++queue->stuck;
      // Its place is free for one that waits.
      needs_thread = state->takes_thread(*queue);
    } else if (!queue->waiting.empty() && queue->waiting.front() == job) {
      queue->waiting.pop_front();
    }
    queue.unlock();
    if (needs_thread) start_serving(state);
    state->answer_that_time_is_over(*job);
    job->scope.stop();
    job.reset();
    queue.relock();
  }
  queue->has_timer = false;
  queue.unlock();
  state->changed.notify_all();
}

DeferredRequests::DeferredRequests(Options options) : state_(std::make_shared<State>(options)) {}

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
    job->deadline = Clock::now() + state_->options.timeout;
    queue->waiting.push_back(job);
    job->place = queue->in_time.insert(queue->in_time.end(), job);
    job->is_in_time = true;
    needs_thread = state_->takes_thread(*queue);
    needs_timer = !std::exchange(queue->has_timer, true);
  }
  state_->changed.notify_all();
  if (needs_timer && !State::start(State::expire, state_)) state_->queue.lock()->has_timer = false;
  if (!needs_thread || State::start_serving(state_)) return;
  {
    // Others serve it, unless there are none.
    auto queue = state_->queue.lock();
    if (queue->threads > 0 || std::erase(queue->waiting, job) == 0) return;
    queue->leave_in_time(*job);
  }
  Answer(job->sink, job->unique).error(fs::Fault::kIo);
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
          .in_time = queue->in_time.size(),
          .threads = queue->threads,
          .timeouts = state_->timeouts};
}

}  // namespace castore::fuse
