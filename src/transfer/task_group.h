// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/guarded.h"
#include "base/result.h"
#include "base/thread_pool.h"

namespace castore::transfer {

// Parts of one job on all CPUs. The first part that fails ends the job: those that have not begun
// are dropped, and longer ones ask `has_failed`.
//
//   Threads   any, but for `finish`, which is for the owner: once, last.
//   Blocking  `submit` waits while `queue_limit` parts are waiting; a part must not submit.
class TaskGroup {
 public:
  using Task = std::move_only_function<Result<void>()>;

  // `name` is that of the threads.
  TaskGroup(std::string name, size_t queue_limit)
      : pool_(std::in_place, std::move(name), cpu_count(), queue_limit) {}

  void submit(Task task) {
    pool_->submit([this, task = std::move(task)]() mutable {
      if (!has_failed()) note(task());
    });
  }

  bool has_failed() const { return has_failed_.load(std::memory_order_relaxed); }

  // Waits for all parts. The first error among theirs and `own`, what the owner did beside them.
  Result<void> finish(Result<void> own) {
    note(std::move(own));
    pool_.reset();
    auto error = error_.lock();
    if (*error) return std::unexpected(**error);
    return {};
  }

 private:
  void note(Result<void> result) {
    if (result) return;
    auto error = error_.lock();
    if (!*error) *error = std::move(result).error();
    has_failed_.store(true, std::memory_order_relaxed);
  }

  Guarded<std::optional<Error>> error_;
  std::atomic<bool> has_failed_{false};
  std::optional<ThreadPool> pool_;  // last: its threads use the others
};

}  // namespace castore::transfer
