// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace castore {

ThreadPool::ThreadPool(std::string name, size_t thread_count, size_t queue_limit)
    : name_(name.substr(0, 15)), queue_limit_(queue_limit) {
  CASTORE_CHECK(thread_count > 0 && queue_limit > 0, "a pool without threads or queue never runs");
  threads_.reserve(thread_count);
  for (size_t i = 0; i < thread_count; ++i) threads_.emplace_back([this] { run(); });
}

ThreadPool::~ThreadPool() {
  state_.lock()->closed = true;
  task_added_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::submit(Task task) {
  {
    auto state = state_.lock();
    state.wait(task_taken_, [&] { return state->tasks.size() < queue_limit_; });
    CASTORE_CHECK(!state->closed, "a task was submitted to a pool that is being destroyed");
    state->tasks.push_back(std::move(task));
  }
  task_added_.notify_one();
}

void ThreadPool::run() {
  ::pthread_setname_np(::pthread_self(), name_.c_str());
  for (;;) {
    Task task;
    {
      auto state = state_.lock();
      state.wait(task_added_, [&] { return state->closed || !state->tasks.empty(); });
      if (state->tasks.empty()) return;
      task = std::move(state->tasks.front());
      state->tasks.pop_front();
    }
    task_taken_.notify_one();
    task();
  }
}

size_t cpu_count() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    return static_cast<size_t>(std::max(1, CPU_COUNT(&set)));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace castore
