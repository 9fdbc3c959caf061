// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/mount_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fuse/dispatcher.h"
#include "store/testing/must.h"

namespace castore::cli {
namespace {

using store::testing::must;

fuse_device::MountFacts facts() {
  fuse_device::MountFacts facts;
  facts.mount_point = "/mnt";
  facts.read_path = fuse_device::ReadPath::kPassthrough;
  facts.transport = fuse_device::Transport::kIoUring;
  facts.threads = 3;
  facts.notes = {{.found = "no luck", .advice = "try again"}, {.found = "no way"}};
  facts.totals.nodes = 1234;
  facts.totals.handles = 5;
  facts.totals.blobs = {.bytes = 10, .hits = 20, .misses = 30};
  facts.deferred.queued = 6;
  facts.operations = {{.opcode = fuse::abi::Opcode::kRead,
                       .count = 7,
                       .errors = 1,
                       .bytes = 4096,
                       .p50 = std::chrono::microseconds(5),
                       .p99 = std::chrono::milliseconds(20)}};
  return facts;
}

bool has_line(const std::vector<std::string>& lines, std::string_view a, std::string_view b) {
  return std::ranges::any_of(
      lines, [&](const auto& line) { return line.contains(a) && line.contains(b); });
}

TEST(MountReport, SaysAllThereIs) {
  auto report = nlohmann::json::parse(mount_report(facts()));
  EXPECT_EQ(report["read_path"], "passthrough");
  EXPECT_EQ(report["transport"], "uring");
  EXPECT_EQ(report["nodes"], 1234);
  EXPECT_EQ(report["handles"], 5);
  EXPECT_GT(report["rss_bytes"], 4096);
  EXPECT_EQ(report["caches"]["blobs"]["hits"], 20);
  EXPECT_EQ(report["pool"]["queued"], 6);
  EXPECT_EQ(report["notes"][0]["advice"], "try again");
  EXPECT_EQ(report["operations"][0]["name"], "READ");
  EXPECT_EQ(report["operations"][0]["p99_ns"], 20'000'000);
}

TEST(MountReport, ReadsAsLines) {
  auto lines = must(report_lines(mount_report(facts())));
  EXPECT_TRUE(has_line(lines, "read path", "passthrough"));
  EXPECT_TRUE(has_line(lines, "note", "no luck; try again"));
  EXPECT_TRUE(has_line(lines, "nodes", "1,234"));
  EXPECT_TRUE(has_line(lines, "READ", "20 ms"));
  for (const std::string& line : lines) EXPECT_FALSE(line.contains('\n'));
}

TEST(MountReport, IsUnderstoodByDoctor) {
  ReportSummary summary = must(summary_of(mount_report(facts())));
  EXPECT_EQ(summary.read_path, "passthrough");
  EXPECT_EQ(summary.transport, "uring");
  ASSERT_EQ(summary.notes.size(), 2u);
  EXPECT_EQ(summary.notes[0].advice, "try again");
  EXPECT_EQ(summary.notes[1].found, "no way");
}

TEST(MountReport, OfAnotherVersionDoesNoHarm) {
  EXPECT_TRUE(report_lines("{}"));
  EXPECT_TRUE(report_lines(R"({"nodes":"many","caches":7,"operations":[1,{}],"notes":{},"x":1})"));
  EXPECT_EQ(report_lines("doing well").error().kind(), ErrorKind::kCorrupt);
  EXPECT_EQ(report_lines("").error().kind(), ErrorKind::kCorrupt);
}

TEST(MountReport, WithEveryOperationThereIsRoomForIt) {
  fuse_device::MountFacts all = facts();
  all.operations.clear();
  for (uint32_t opcode = 0; opcode < 64; ++opcode)
    all.operations.push_back({.opcode = static_cast<fuse::abi::Opcode>(opcode),
                              .count = UINT64_MAX,
                              .errors = UINT64_MAX,
                              .bytes = UINT64_MAX,
                              .p50 = std::chrono::hours(1),
                              .p99 = std::chrono::hours(1)});
  EXPECT_LT(mount_report(all).size(), fuse::kReportBytesMax);
}

}  // namespace
}  // namespace castore::cli
