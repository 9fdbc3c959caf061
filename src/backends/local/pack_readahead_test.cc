// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/pack_readahead.h"

#include <gtest/gtest.h>

namespace castore::backends::local {
namespace {

constexpr uint64_t kWindow = PackReadahead::kWindowBytes;

class PackReadaheadTest : public testing::Test {
 protected:
  // "offset+bytes" in windows; "" for nothing.
  std::string advice(uint64_t pack, uint64_t offset) {
    auto advice = readahead_.advise({.size = 100, .pack = pack, .offset = offset});
    if (advice.bytes == 0) return "";
    EXPECT_EQ(advice.offset % kWindow, 0u);
    EXPECT_EQ(advice.bytes % kWindow, 0u);
    return std::to_string(advice.offset / kWindow) + "+" + std::to_string(advice.bytes / kWindow);
  }

  PackReadahead readahead_;
};

TEST_F(PackReadaheadTest, ASingleReadIsLeftAlone) {
  for (uint64_t window : {5, 90, 17, 4000}) EXPECT_EQ(advice(1, window * kWindow + 7), "");
}

TEST_F(PackReadaheadTest, WhoReadsOnStaysOneWindowBehind) {
  EXPECT_EQ(advice(1, 0), "");
  EXPECT_EQ(advice(1, 1000), "0+2");
  EXPECT_EQ(advice(1, 2000), "");
  EXPECT_EQ(advice(1, kWindow), "2+1");
  EXPECT_EQ(advice(1, kWindow + 1000), "");
  EXPECT_EQ(advice(1, 2 * kWindow), "3+1");
}

TEST_F(PackReadaheadTest, BackwardsEachWindowIsReadOnce) {
  EXPECT_EQ(advice(1, 2 * kWindow + 500), "");
  EXPECT_EQ(advice(1, 2 * kWindow), "2+2");
  EXPECT_EQ(advice(1, kWindow + 500), "");
  EXPECT_EQ(advice(1, kWindow), "1+1");
}

TEST_F(PackReadaheadTest, DirectoriesAreReadAtOnce) {
  EXPECT_EQ(advice(2, 3 * kWindow + 5), "3+1");
  EXPECT_EQ(advice(2, 3 * kWindow + 50), "4+1");
  EXPECT_EQ(advice(2, 3 * kWindow + 90), "");
}

TEST_F(PackReadaheadTest, PacksAndReadersAreToldApart) {
  for (uint64_t reader = 0; reader < 10; ++reader) EXPECT_EQ(advice(1, reader * 10 * kWindow), "");
  EXPECT_EQ(advice(3, 0), "");
  for (uint64_t reader = 0; reader < 10; ++reader)
    EXPECT_EQ(advice(1, reader * 10 * kWindow + 9), std::to_string(reader * 10) + "+2");
}

}  // namespace
}  // namespace castore::backends::local
