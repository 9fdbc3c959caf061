// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <barrier>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <vector>

namespace castore {
namespace {

TEST(ThreadPoolTest, RunsEveryTaskBeforeItIsGone) {
  std::atomic<int> ran = 0;
  {
    ThreadPool pool("test", 3, 4);
    for (int i = 0; i < 1000; ++i) pool.submit([&] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

TEST(ThreadPoolTest, OneThreadRunsTasksInTheirOrder) {
  std::vector<int> order;
  {
    ThreadPool pool("test", 1, 100);
    for (int i = 0; i < 100; ++i) pool.submit([&order, i] { order.push_back(i); });
  }
  std::vector<int> expected(100);
  for (int i = 0; i < 100; ++i) expected[static_cast<size_t>(i)] = i;
  EXPECT_EQ(order, expected);
}

TEST(ThreadPoolTest, RunsAsManyTasksAtOnceAsItHasThreads) {
  // Each task waits for the other two: fewer threads would never get past the barrier.
  std::barrier all_here(3);
  std::atomic<int> ran = 0;
  {
    ThreadPool pool("test", 3, 3);
    EXPECT_EQ(pool.thread_count(), 3u);
    for (int i = 0; i < 3; ++i)
      pool.submit([&] {
        all_here.arrive_and_wait();
        ++ran;
      });
  }
  EXPECT_EQ(ran, 3);
}

TEST(ThreadPoolTest, TakesMoveOnlyTasks) {
  std::promise<int> promise;
  auto future = promise.get_future();
  ThreadPool pool("test", 1, 1);
  auto value = std::make_unique<int>(5);
  pool.submit([&promise, value = std::move(value)] { promise.set_value(*value); });
  EXPECT_EQ(future.get(), 5);
}

TEST(ThreadPoolTest, SubmitWaitsWhileTheQueueIsFull) {
  std::latch first_runs(1);
  std::latch let_first_end(1);
  std::atomic<int> submitted = 0;
  std::atomic<int> submitted_when_first_ended = -1;
  {
    ThreadPool pool("test", 1, 2);
    pool.submit([&] {
      first_runs.count_down();
      let_first_end.wait();
      submitted_when_first_ended = submitted.load();
    });
    first_runs.wait();
    // The thread is busy: two tasks fit the queue, the third has to wait for room.
    std::thread producer([&] {
      for (int i = 0; i < 3; ++i) {
        pool.submit([] {});
        ++submitted;
      }
    });
    while (submitted < 2) std::this_thread::yield();
    let_first_end.count_down();
    producer.join();
  }
  EXPECT_EQ(submitted_when_first_ended, 2);
  EXPECT_EQ(submitted, 3);
}

TEST(ThreadPoolTest, NamesItsThreads) {
  std::promise<std::string> promise;
  auto future = promise.get_future();
  ThreadPool pool("a name that is far too long", 1, 1);
  pool.submit([&] {
    char name[16] = {};
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    promise.set_value(name);
  });
  EXPECT_EQ(future.get(), "a name that is ");
}

TEST(CpuCountTest, IsAtLeastOne) {
  EXPECT_GE(cpu_count(), 1u);
}

}  // namespace
}  // namespace castore
