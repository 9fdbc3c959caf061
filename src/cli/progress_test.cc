// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace castore::cli {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ProgressLine, ShowsFilesBytesRateAndWhatWasReused) {
  ProgressCounts counts{
      .files = 1204, .bytes = 5 << 20, .bytes_new = 1 << 20, .blobs_new = 4, .blobs_reused = 1200};
  EXPECT_EQ(progress_line("importing", counts, 2048, seconds(75), 200),
            "importing  1:15  1,204 files  5.0 MiB  2.0 KiB/s  new 4 (1.0 MiB)  reused 1,200");
}

TEST(ProgressLine, LeavesReuseOutWhereNothingIsStored) {
  ProgressCounts counts{.files = 1, .bytes = 1};
  EXPECT_EQ(progress_line("verifying", counts, 0, seconds(0), 200),
            "verifying  0:00  1 files  1 B  0 B/s");
}

TEST(ProgressLine, DrawsABarWhereTheWholeIsKnown) {
  ProgressCounts counts;
  counts.done = 0.5;
  EXPECT_THAT(progress_line("x", counts, 0, seconds(0), 200), HasSubstr("[==========          ]"));
  counts.done = 7;
  EXPECT_THAT(progress_line("x", counts, 0, seconds(0), 200), HasSubstr("[====================]"));
  counts.done.reset();
  EXPECT_THAT(progress_line("x", counts, 0, seconds(0), 200), Not(HasSubstr("[")));
}

TEST(ProgressLine, IsCutToTheWidthOfTheTerminal) {
  EXPECT_EQ(progress_line("importing", {}, 0, seconds(0), 5), "impor");
}

TEST(RateMeter, KnowsNoRateBeforeTwoSamples) {
  RateMeter rate;
  EXPECT_EQ(rate.bytes_per_s(), 0u);
  rate.add(RateMeter::Clock::time_point(seconds(1)), 100);
  EXPECT_EQ(rate.bytes_per_s(), 0u);
}

TEST(RateMeter, MeasuresTheLastMomentsOnly) {
  RateMeter rate;
  for (int s = 0; s < 100; s++)
    rate.add(RateMeter::Clock::time_point(seconds(s)),
             s < 50 ? 0 : static_cast<uint64_t>(s - 50) * 1000);
  EXPECT_EQ(rate.bytes_per_s(), 1000u);
}

TEST(ProgressCounts, AddUpSeveralTallies) {
  transfer::Tally first;
  first.files = 2;
  first.blobs_reused = 5;
  transfer::Tally second;
  second.files = 3;
  second.bytes = 7;
  ProgressCounts counts;
  counts += first;
  counts += second;
  EXPECT_EQ(counts.files, 5u);
  EXPECT_EQ(counts.bytes, 7u);
  EXPECT_EQ(counts.blobs_reused, 5u);
}

TEST(Progress, AsidePassesOnWhatThePrintingGave) {
  Progress progress(ProgressMode::kNever, "x", [] { return ProgressCounts(); });
  EXPECT_TRUE(progress.aside([]() -> Result<void> { return {}; }));
  EXPECT_FALSE(progress.aside(
      []() -> Result<void> { return fail(ErrorKind::kInternal, "printing failed"); }));
}

}  // namespace
}  // namespace castore::cli
