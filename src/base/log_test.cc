// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace castore {
namespace {

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { spdlog::set_default_logger(before_); }

  static std::string standard_error_of_a_line() {
    ::testing::internal::CaptureStderr();
    spdlog::info("a line");
    return ::testing::internal::GetCapturedStderr();
  }

  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

TEST_F(LogTest, LinesGoToStandardErrorWithTimeAndLevel) {
  ASSERT_TRUE(set_up_logging("info"));
  EXPECT_NE(standard_error_of_a_line().find(" info a line\n"), std::string::npos);
  ASSERT_TRUE(set_up_logging("warn"));
  EXPECT_EQ(standard_error_of_a_line(), "");
}

TEST_F(LogTest, WhoGoesToTheBackgroundIsHeardByWhoStartedItToo) {
  ASSERT_TRUE(set_up_logging("info"));
  log_to_syslog("castore-test");
  EXPECT_NE(standard_error_of_a_line().find(" info a line\n"), std::string::npos);
}

}  // namespace
}  // namespace castore
