// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/guarded.h"

namespace castore {

// A fixed number of threads that run tasks in the order they were given.
//
//   Threads   any method, any thread; a task must not wait for another task of the same pool.
//   Blocking  `submit` waits while `queue_limit` tasks are waiting: producers cannot run away.
//   Lifetime  the destructor runs what was submitted, then joins.
class ThreadPool {
 public:
  using Task = std::move_only_function<void()>;

  // `name` is what tools show for the threads (at most 15 bytes count).
  ThreadPool(std::string name, size_t thread_count, size_t queue_limit);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  void submit(Task task);

  size_t thread_count() const { return threads_.size(); }

 private:
  struct State {
    std::deque<Task> tasks;
    bool closed = false;
  };

  void run();

  const std::string name_;
  const size_t queue_limit_;
  Guarded<State> state_;
  std::condition_variable task_added_;
  std::condition_variable task_taken_;
  std::vector<std::thread> threads_;
};

// The number of CPUs this process may use, at least 1.
size_t cpu_count();

}  // namespace castore
