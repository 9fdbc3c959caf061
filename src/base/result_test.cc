// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <stop_token>
#include <string>

#include "base/context.h"

namespace castore {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorKind::kInvalidArgument, "{} is odd", value);
  return value / 2;
}

TEST(ResultTest, TryUnwrapsAValueOrReturnsTheError) {
  auto quarter = [](int value) -> Result<int> {
    int once = CASTORE_TRY(half(value));
    return CASTORE_TRY(half(once));
  };
  EXPECT_EQ(quarter(12), 3);
  ASSERT_FALSE(quarter(6));
  EXPECT_EQ(quarter(6).error().message(), "3 is odd");
  EXPECT_EQ(quarter(6).error().kind(), ErrorKind::kInvalidArgument);
}

TEST(ResultTest, TryTakesMoveOnlyValuesAndVariables) {
  auto pass_on = [](Result<std::unique_ptr<int>> result) -> Result<std::unique_ptr<int>> {
    auto pointer = CASTORE_TRY(result);
    EXPECT_EQ(*result, nullptr);  // taken out of the variable
    return pointer;
  };
  EXPECT_EQ(**pass_on(std::make_unique<int>(7)), 7);
  EXPECT_EQ(pass_on(fail(ErrorKind::kCorrupt, "no")).error().message(), "no");
}

TEST(ResultTest, TryReturnsBeforeWhatFollows) {
  bool reached = false;
  auto run = [&](Result<void> result) -> Result<void> {
    CASTORE_TRY(result);
    reached = true;
    return {};
  };
  EXPECT_FALSE(run(fail(ErrorKind::kInternal, "no")));
  EXPECT_FALSE(reached);
  EXPECT_TRUE(run({}));
  EXPECT_TRUE(reached);
}

TEST(ResultTest, TryWhilePutsTheWordsBeforeTheMessageAndFormatsThemOnFailureOnly) {
  int formatted = 0;
  auto name = [&] {
    ++formatted;
    return "/srv/a";
  };
  auto run = [&](int value) -> Result<int> {
    return CASTORE_TRY_WHILE(half(value), "reading {}", name());
  };
  EXPECT_EQ(run(4), 2);
  EXPECT_EQ(formatted, 0);
  EXPECT_EQ(run(5).error().message(), "reading /srv/a: 5 is odd");
  EXPECT_EQ(formatted, 1);
}

TEST(ErrorTest, ContextKeepsTheKindAndReadsFromAttemptToCause) {
  Error error =
      Error(ErrorKind::kDenied, "Permission denied").context("opening b").context("importing a");
  EXPECT_EQ(error.kind(), ErrorKind::kDenied);
  EXPECT_EQ(error.message(), "importing a: opening b: Permission denied");
}

TEST(ErrorTest, AnErrnoBecomesWhatTheCallerCanDo) {
  auto kind = [](int errno_value) { return Error::from_errno(errno_value, "doing").kind(); };
  EXPECT_EQ(kind(ENOENT), ErrorKind::kNotFound);
  EXPECT_EQ(kind(EACCES), ErrorKind::kDenied);
  EXPECT_EQ(kind(EROFS), ErrorKind::kDenied);
  EXPECT_EQ(kind(ENOSPC), ErrorKind::kExhausted);
  EXPECT_EQ(kind(EMFILE), ErrorKind::kExhausted);
  EXPECT_EQ(kind(EEXIST), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind(EAGAIN), ErrorKind::kUnavailable);
  EXPECT_EQ(kind(EIO), ErrorKind::kInternal);
  EXPECT_TRUE(Error::from_errno(EMFILE, "opening x").message().contains("ulimit -n"));
  EXPECT_EQ(Error::from_errno(ENOENT, "opening x").message(),
            "opening x: No such file or directory");
}

TEST(ErrorTest, FailErrnoNamesWhatWasAttempted) {
  Result<void> result = fail_errno(ENOSPC, "writing {}", "/srv/a");
  EXPECT_EQ(result.error().kind(), ErrorKind::kExhausted);
  EXPECT_EQ(result.error().message(), "writing /srv/a: No space left on device");
}

TEST(ContextTest, SaysWhetherToGoOn) {
  std::stop_source source;
  Context ctx{.stop = source.get_token()};
  EXPECT_TRUE(ctx.check());
  ctx.deadline = std::chrono::steady_clock::now();
  EXPECT_EQ(ctx.check().error().kind(), ErrorKind::kUnavailable);
  ctx.deadline += std::chrono::hours(1);
  EXPECT_TRUE(ctx.check());
  source.request_stop();
  EXPECT_EQ(ctx.check().error().kind(), ErrorKind::kCancelled);
}

}  // namespace
}  // namespace castore
