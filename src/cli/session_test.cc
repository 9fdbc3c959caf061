// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/session.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "store/testing/temp_folder.h"

namespace castore::cli {
namespace {

constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGHUP};

// The signals that a thread of this process blocks, a bit each.
uint64_t blocked_signals(const std::filesystem::path& task) {
  std::ifstream status(task / "status");
  std::string field;
  uint64_t mask = 0;
  while (status >> field)
    if (field == "SigBlk:") status >> std::hex >> mask;
  return mask;
}

// Class of fault: threads that began before signals were watched took them, which ended the process
// by the signal, in mid-work and without a word.
class SessionSignals : public ::testing::Test {
 protected:
  SessionSignals() {
    for (int signal_number : kStopSignals) (void)::signal(signal_number, SIG_DFL);
  }

  static CommonOptions options_of(std::string store) {
    CommonOptions options;
    options.store = std::move(store);
    return options;
  }

  store::testing::TempFolder folder_;
  Session session_{options_of(folder_ / "store")};
};

TEST_F(SessionSignals, NoThreadOfAnOpenStoreTakesThem) {
  auto services = session_.open(config::Access::kWrite);
  ASSERT_TRUE(services) << services.error().message();
  size_t threads = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    ++threads;
    for (int signal_number : kStopSignals)
      EXPECT_TRUE(blocked_signals(task.path()) >> (signal_number - 1) & 1)
          << "signal " << signal_number << ", thread " << task.path();
  }
  EXPECT_GT(threads, 2u) << "the store has no threads of its own any more";
}

TEST_F(SessionSignals, StopWorkAlsoWhenTheStoreWasOpenedFirst) {
  auto services = session_.open(config::Access::kWrite);
  ASSERT_TRUE(services) << services.error().message();
  auto ctx = session_.stoppable_context();
  ASSERT_TRUE(ctx) << ctx.error().message();
  std::promise<void> stopped;
  std::stop_callback on_stop(ctx->stop, [&] { stopped.set_value(); });
  ::kill(::getpid(), SIGTERM);
  stopped.get_future().wait();
  EXPECT_EQ(session_.caught_signal(), SIGTERM);
}

}  // namespace
}  // namespace castore::cli
