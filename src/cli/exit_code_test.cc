// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/exit_code.h"

#include <gtest/gtest.h>

namespace castore::cli {
namespace {

TEST(ExitCode, DamageHasACodeOfItsOwn) {
  EXPECT_EQ(exit_code_of(ErrorKind::kCorrupt), ExitCode::kDamage);
  for (ErrorKind kind : {ErrorKind::kInvalidArgument, ErrorKind::kNotFound, ErrorKind::kUnavailable,
                         ErrorKind::kDenied, ErrorKind::kExhausted, ErrorKind::kUnsupported,
                         ErrorKind::kCancelled, ErrorKind::kInternal})
    EXPECT_EQ(exit_code_of(kind), ExitCode::kFailure) << to_string(kind);
}

// Scripts count on these numbers; the manual and the help list them.
TEST(ExitCode, NumbersAreTheDocumentedOnes) {
  EXPECT_EQ(static_cast<int>(ExitCode::kOk), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::kFailure), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::kUsage), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::kDamage), 3);
}

}  // namespace
}  // namespace castore::cli
