// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/statistics.h"

#include <gtest/gtest.h>

#include <thread>

namespace castore::fuse {
namespace {

using std::chrono::nanoseconds;

TEST(Statistics, CountsByOperation) {
  Statistics statistics;
  EXPECT_TRUE(statistics.report().empty());
  statistics.add(abi::Opcode::kRead, nanoseconds(1000), false, 4096);
  statistics.add(abi::Opcode::kRead, nanoseconds(1000), true, 0);
  statistics.add(abi::Opcode::kLookup, nanoseconds(1), false, 128);
  auto report = statistics.report();
  ASSERT_EQ(report.size(), 2u);
  EXPECT_EQ(report[0].opcode, abi::Opcode::kLookup);
  EXPECT_EQ(report[1].count, 2u);
  EXPECT_EQ(report[1].errors, 1u);
  EXPECT_EQ(report[1].bytes, 4096u);
}

TEST(Statistics, PercentilesAreAtMostAQuarterTooHigh) {
  for (int64_t ns : {0, 255, 256, 320, 1000, 12'345, 999'999, 1'000'000'000}) {
    Statistics statistics;
    for (int i = 0; i < 99; ++i) statistics.add(abi::Opcode::kRead, nanoseconds(ns), false, 0);
    statistics.add(abi::Opcode::kRead, std::chrono::hours(1), false, 0);
    auto read = statistics.report().at(0);
    EXPECT_GE(read.p50.count(), ns);
    EXPECT_LE(read.p50.count(), std::max<int64_t>(256, ns * 5 / 4)) << ns;
    EXPECT_EQ(read.p99, read.p50);
  }
}

TEST(Statistics, ThreadsLoseNothing) {
  Statistics statistics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i)
        statistics.add(static_cast<abi::Opcode>(9999), nanoseconds(i), false, 1);
    });
  for (std::thread& thread : threads) thread.join();
  auto report = statistics.report();
  ASSERT_EQ(report.size(), 1u);
  EXPECT_EQ(name_of(report[0].opcode), "OTHER");
  EXPECT_EQ(report[0].count, 16'000u);
  EXPECT_EQ(report[0].bytes, 16'000u);
}

}  // namespace
}  // namespace castore::fuse
