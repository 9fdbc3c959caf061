// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>

#include "cli/exit_code.h"

namespace castore::cli {
namespace {

using std::chrono::seconds;

void wait_for_stop(const std::stop_token& token) {
  std::promise<void> stopped;
  std::stop_callback on_stop(token, [&] { stopped.set_value(); });
  stopped.get_future().wait();
}

TEST(StopOnSignal, TheFirstSignalIsAStopRequest) {
  for (int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    auto signals = StopOnSignal::watch(std::nullopt).value();
    EXPECT_EQ(signals->caught(), 0);
    ::kill(::getpid(), signal_number);
    wait_for_stop(signals->token());
    EXPECT_EQ(signals->caught(), signal_number);
  }
}

TEST(StopOnSignal, EndsWithoutASignal) {
  auto signals = StopOnSignal::watch(seconds(1)).value();
  std::stop_token token = signals->token();
  signals.reset();
  EXPECT_FALSE(token.stop_requested());
}

TEST(StopOnSignal, AnIgnoredSignalStaysIgnored) {
  auto before = ::signal(SIGHUP, SIG_IGN);
  auto signals = StopOnSignal::watch(std::nullopt).value();
  ::kill(::getpid(), SIGHUP);
  ::kill(::getpid(), SIGTERM);
  wait_for_stop(signals->token());
  EXPECT_EQ(signals->caught(), SIGTERM);
  signals.reset();
  ::signal(SIGHUP, before);
}

TEST(StopOnSignalDeathTest, TheSecondSignalEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        auto signals = StopOnSignal::watch(std::nullopt).value();
        ::kill(::getpid(), SIGTERM);
        wait_for_stop(signals->token());
        ::kill(::getpid(), SIGINT);
        for (;;) ::pause();
      },
      ::testing::ExitedWithCode(kExitBySignal + SIGINT), "interrupted twice");
}

TEST(StopOnSignalDeathTest, WorkThatDoesNotNoticeIsEndedAfterTheGrace) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        auto signals = StopOnSignal::watch(seconds(0)).value();
        ::kill(::getpid(), SIGTERM);
        for (;;) ::pause();
      },
      ::testing::ExitedWithCode(kExitBySignal + SIGTERM), "did not end in time");
}

}  // namespace
}  // namespace castore::cli
