// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/rate_limit.h"

#include <gtest/gtest.h>

namespace castore::fs {
namespace {

using namespace std::chrono_literals;

TEST(RateLimit, AllowsSoManyLinesASecondAndCountsTheOthers) {
  RateLimit limit(3);
  RateLimit::Clock::time_point now(100s);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.allow(now + i * 100ms), 0u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limit.allow(now + 900ms), std::nullopt);
  EXPECT_EQ(limit.allow(now + 1s), 5u);
  EXPECT_EQ(limit.allow(now + 1s), 0u);
}

}  // namespace
}  // namespace castore::fs
