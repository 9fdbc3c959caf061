// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/backing_files.h"

#include <gtest/gtest.h>

#include <set>

namespace castore::fuse {
namespace {

class FakeRegistry final : public BackingRegistry {
 public:
  Result<int32_t> add(const fs::BackingFile& file) override {
    if (fails) return fail(ErrorKind::kDenied, "no privilege");
    EXPECT_GE(file.fd, 0);
    present.insert(++last);
    return last;
  }
  void remove(int32_t id) override { EXPECT_EQ(present.erase(id), 1u); }

  std::set<int32_t> present;
  int32_t last = 0;
  bool fails = false;
};

const std::optional<fs::BackingFile> kFile = fs::BackingFile{3, nullptr};

TEST(BackingFiles, OneNumberServesAllWhoHaveANodeOpen) {
  FakeRegistry registry;
  BackingFiles files(registry);
  EXPECT_EQ(files.opened(7, kFile), 1);
  EXPECT_EQ(files.opened(7, kFile), 1);
  EXPECT_EQ(files.opened(8, kFile), 2);
  EXPECT_EQ(files.counts().nodes, 2u);
  EXPECT_EQ(files.counts().opens, 3u);
  files.closed(7);
  EXPECT_EQ(registry.present.size(), 2u);
  files.closed(7);
  EXPECT_EQ(registry.present, std::set<int32_t>{2});
  EXPECT_EQ(files.opened(7, kFile), 3);
  files.closed(7);
  files.closed(8);
  files.closed(8);
  EXPECT_TRUE(registry.present.empty());
  EXPECT_EQ(files.counts().nodes, 0u);
}

TEST(BackingFiles, WhatTheFirstOpenDecidedHoldsUntilTheLastIsClosed) {
  FakeRegistry registry;
  BackingFiles files(registry);
  registry.fails = true;
  EXPECT_EQ(files.opened(7, kFile), std::nullopt);
  registry.fails = false;
  EXPECT_EQ(files.opened(7, kFile), std::nullopt);
  files.closed(7);
  EXPECT_EQ(files.opened(7, kFile), std::nullopt);
  files.closed(7);
  files.closed(7);
  EXPECT_EQ(files.opened(7, kFile), 1);
}

TEST(BackingFiles, WhyTheFirstOneWasNotTakenIsKept) {
  FakeRegistry registry;
  BackingFiles files(registry);
  files.opened(7, kFile);
  EXPECT_EQ(files.counts().refusal, "");
  registry.fails = true;
  files.opened(8, kFile);
  EXPECT_EQ(files.counts().refusal, "no privilege");
  EXPECT_EQ(files.counts().nodes, 1u);
  registry.fails = false;
  files.opened(9, kFile);
  EXPECT_EQ(files.counts().refusal, "no privilege");
}

TEST(BackingFiles, ContentThatIsNoFileIsReadByAsking) {
  FakeRegistry registry;
  BackingFiles files(registry);
  EXPECT_EQ(files.opened(7, std::nullopt), std::nullopt);
  files.closed(7);
  files.closed(987);
  EXPECT_EQ(registry.last, 0);
}

}  // namespace
}  // namespace castore::fuse
