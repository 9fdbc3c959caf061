// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/running_requests.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace castore::fuse {
namespace {

TEST(RunningRequests, AnInterruptStopsTheRequestItNames) {
  RunningRequests requests;
  RunningRequests::Scope one(requests, 2);
  RunningRequests::Scope other(requests, 4);
  requests.interrupt(2);
  EXPECT_TRUE(one.token().stop_requested());
  EXPECT_FALSE(other.token().stop_requested());
}

TEST(RunningRequests, AnInterruptThatComesFirstWaitsForItsRequest) {
  RunningRequests requests;
  requests.interrupt(2);
  RunningRequests::Scope one(requests, 2);
  EXPECT_TRUE(one.token().stop_requested());
}

TEST(RunningRequests, AnInterruptThatComesFirstIsSpentOnce) {
  RunningRequests requests;
  requests.interrupt(2);
  {
    RunningRequests::Scope first(requests, 2);
  }
  RunningRequests::Scope second(requests, 2);
  EXPECT_FALSE(second.token().stop_requested());
}

TEST(RunningRequests, OnlyTheLatestEarlyInterruptsAreKept) {
  RunningRequests requests;
  requests.interrupt(2);
  for (uint64_t unique = 1000; unique < 2000; unique += 2) requests.interrupt(unique);
  RunningRequests::Scope forgotten(requests, 2);
  RunningRequests::Scope kept(requests, 1998);
  EXPECT_FALSE(forgotten.token().stop_requested());
  EXPECT_TRUE(kept.token().stop_requested());
}

TEST(RunningRequests, AnInterruptForARequestThatEndedDoesNothingToOthers) {
  RunningRequests requests;
  {
    RunningRequests::Scope ended(requests, 2);
  }
  RunningRequests::Scope other(requests, 4);
  requests.interrupt(2);
  EXPECT_FALSE(other.token().stop_requested());
}

TEST(RunningRequests, TheEndStopsWhatRunsAndWhatComes) {
  RunningRequests requests;
  RunningRequests::Scope running(requests, 2);
  requests.stop_all();
  EXPECT_TRUE(running.token().stop_requested());
  RunningRequests::Scope later(requests, 4);
  EXPECT_TRUE(later.token().stop_requested());
}

TEST(RunningRequests, WhoListensMayComeBackForMore) {
  RunningRequests requests;
  RunningRequests::Scope one(requests, 2);
  RunningRequests::Scope other(requests, 4);
  std::stop_callback relay(one.token(), [&] { requests.interrupt(4); });
  requests.interrupt(2);
  EXPECT_TRUE(other.token().stop_requested());
}

TEST(RunningRequests, ManyThreadsComeAndGo) {
  RunningRequests requests;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 2000; ++i) {
        uint64_t unique = 2 * (t * 10000 + i);
        RunningRequests::Scope scope(requests, unique);
        if (i % 3 == 0) requests.interrupt(unique);
        EXPECT_EQ(scope.token().stop_requested(), i % 3 == 0);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace castore::fuse
