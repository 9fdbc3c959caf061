// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/background.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"

namespace castore::cli {
namespace {

// The child says through the event what it saw.
uint64_t said(const UniqueFd& event) {
  eventfd_t value = 0;
  return ::eventfd_read(event.get(), &value) == 0 ? value : 0;
}

TEST(RunInBackground, ReturnsWhenReadyWhileTheServiceGoesOn) {
  UniqueFd go_on(::eventfd(0, EFD_CLOEXEC));
  UniqueFd done(::eventfd(0, EFD_CLOEXEC));
  auto started = run_in_background([&](const Ready& ready) -> Result<void> {
    CASTORE_TRY(ready());
    if (said(go_on) == 1) ::eventfd_write(done.get(), 7);
    return {};
  });
  ASSERT_TRUE(started) << started.error().message();
  ::eventfd_write(go_on.get(), 1);
  EXPECT_EQ(said(done), 7u);
}

TEST(RunInBackground, AnErrorBeforeReadyIsTheCallers) {
  auto started = run_in_background(
      [](const Ready&) -> Result<void> { return fail(ErrorKind::kDenied, "the reason: {}", 42); });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind(), ErrorKind::kDenied);
  EXPECT_EQ(started.error().message(), "the reason: 42");
}

TEST(RunInBackground, ADeadServiceIsNoticed) {
  auto started = run_in_background([](const Ready&) -> Result<void> { ::_exit(0); });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind(), ErrorKind::kInternal);
}

TEST(RunInBackground, TheServiceHasItsOwnSessionAndNoWorkingFolder) {
  UniqueFd done(::eventfd(0, EFD_CLOEXEC));
  auto started = run_in_background([&](const Ready& ready) -> Result<void> {
    CASTORE_TRY(ready());
    char folder[8] = {};
    bool apart = ::getsid(0) == ::getpid() && ::getcwd(folder, sizeof folder) != nullptr &&
                 std::string(folder) == "/" && ::isatty(0) == 0;
    ::eventfd_write(done.get(), apart ? 1 : 2);
    return {};
  });
  ASSERT_TRUE(started);
  EXPECT_EQ(said(done), 1u);
}

}  // namespace
}  // namespace castore::cli
