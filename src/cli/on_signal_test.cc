// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/on_signal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <condition_variable>

#include "base/guarded.h"
#include "store/testing/must.h"

namespace castore::cli {
namespace {

using store::testing::must;

class OnSignalTest : public ::testing::Test {
 protected:
  OnSignalTest() {
    (void)::pthread_sigmask(SIG_BLOCK, nullptr, &before_);
    hold_back_signal(SIGUSR1);
  }
  ~OnSignalTest() override { (void)::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  std::function<void()> counting() {
    return [this] {
      ++*calls_.lock();
      called_.notify_all();
    };
  }
  void wait_until_called(int times) {
    auto calls = calls_.lock();
    calls.wait(called_, [&] { return *calls >= times; });
  }

 private:
  sigset_t before_{};
  Guarded<int> calls_{0};
  std::condition_variable called_;
};

TEST_F(OnSignalTest, EachSignalRunsTheAction) {
  auto watch = must(OnSignal::watch(SIGUSR1, counting()));
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
  wait_until_called(1);
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
  wait_until_called(2);
}

TEST_F(OnSignalTest, ASignalThatCameEarlyIsNotLost) {
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
  auto watch = must(OnSignal::watch(SIGUSR1, counting()));
  wait_until_called(1);
}

}  // namespace
}  // namespace castore::cli
