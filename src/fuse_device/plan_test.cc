// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/plan.h"

#include <gtest/gtest.h>

namespace castore::fuse_device {
namespace {

constexpr Circumstances kEverything{.privileged = true,
                                    .uring_enabled = true,
                                    .uring_known = true,
                                    .few_large_files = false,
                                    .store_may_be_slow = false};

TEST(Plan, ManySmallFilesAreCachedAndRequestsTravelInARing) {
  Plan plan = make_plan(ReadPath::kAuto, Transport::kAuto, kEverything);
  EXPECT_EQ(plan.read_path, ReadPath::kCached);
  EXPECT_EQ(plan.transport, Transport::kIoUring);
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_NE(to_string(plan.notes[0]).find("--io=passthrough"), std::string::npos);
}

TEST(Plan, FewLargeFilesArePassedThroughWherePrivilegeAllowsIt) {
  Circumstances large = kEverything;
  large.few_large_files = true;
  EXPECT_EQ(make_plan(ReadPath::kAuto, Transport::kAuto, large).read_path, ReadPath::kPassthrough);
  EXPECT_EQ(make_plan(ReadPath::kCached, Transport::kAuto, large).read_path, ReadPath::kCached);
  large.privileged = false;
  Plan plan = make_plan(ReadPath::kAuto, Transport::kAuto, large);
  EXPECT_EQ(plan.read_path, ReadPath::kCached);
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_NE(to_string(plan.notes[0]).find("CAP_SYS_ADMIN"), std::string::npos);
}

TEST(Plan, WhatIsAskedForByNameAndCannotBeIsANote) {
  Plan plan = make_plan(ReadPath::kPassthrough, Transport::kIoUring, {});
  EXPECT_EQ(plan.read_path, ReadPath::kCached);
  EXPECT_EQ(plan.transport, Transport::kDevice);
  EXPECT_EQ(plan.notes.size(), 2u);
  plan = make_plan(ReadPath::kPassthrough, Transport::kIoUring, kEverything);
  EXPECT_EQ(plan.read_path, ReadPath::kPassthrough);
  EXPECT_EQ(plan.transport, Transport::kIoUring);
  EXPECT_TRUE(plan.notes.empty());
}

TEST(Plan, ASlowStoreGetsNoRing) {
  Circumstances slow = kEverything;
  slow.store_may_be_slow = true;
  EXPECT_EQ(make_plan(ReadPath::kAuto, Transport::kIoUring, slow).transport, Transport::kDevice);
}

TEST(Plan, ARingThatIsSwitchedOffSaysHowToSwitchItOn) {
  Circumstances off = kEverything;
  off.uring_enabled = false;
  Plan plan = make_plan(ReadPath::kCached, Transport::kAuto, off);
  EXPECT_EQ(plan.transport, Transport::kDevice);
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_NE(to_string(plan.notes[0]).find("enable_uring"), std::string::npos);
  EXPECT_TRUE(make_plan(ReadPath::kCached, Transport::kDevice, off).notes.empty());
}

TEST(Plan, ALimitBelowWhatWouldBeUsedIsANote) {
  Circumstances small = kEverything;
  small.pages_limit = 32;
  Plan plan = make_plan(ReadPath::kCached, Transport::kDevice, small);
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_NE(plan.notes[0].advice.find("max_pages_limit"), std::string::npos);
  small.pages_limit = 4096;
  EXPECT_TRUE(make_plan(ReadPath::kCached, Transport::kDevice, small).notes.empty());
}

}  // namespace
}  // namespace castore::fuse_device
