// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/negotiate.h"

#include <gtest/gtest.h>

namespace castore::fuse {
namespace {

InitRequest offer(uint32_t major, uint32_t minor, uint64_t flags) {
  return {.major = major, .minor = minor, .max_readahead = 131072, .flags = flags};
}

Agreement agree(const InitRequest& request, const Wishes& wishes = {}) {
  auto outcome = negotiate(request, wishes);
  EXPECT_TRUE(std::holds_alternative<Agreement>(outcome));
  return std::get<Agreement>(outcome);
}

TEST(Negotiate, WhatIsWantedAndOfferedIsTaken) {
  Agreement agreement = agree(offer(7, 45, ~uint64_t{0}));
  EXPECT_EQ(agreement.session.agreed, abi::kAsyncRead | abi::kDoReaddirplus | abi::kParallelDirops |
                                          abi::kCacheSymlinks | abi::kMaxPages | abi::kInitExt |
                                          abi::kAllowIdmap);
  EXPECT_EQ(agreement.reply.flags, static_cast<uint32_t>(agreement.session.agreed));
  EXPECT_EQ(agreement.reply.flags2, abi::kAllowIdmap >> 32);
  EXPECT_EQ(agreement.reply.max_pages, 256);
  EXPECT_EQ(agreement.reply.max_readahead, 131072u);
  EXPECT_EQ(agreement.reply.time_gran, 1u);
  EXPECT_GT(agreement.reply.max_background, agreement.reply.congestion_threshold);
}

TEST(Negotiate, WhatIsNotOfferedIsNotTaken) {
  Agreement agreement = agree(offer(7, 45, abi::kAsyncRead));
  EXPECT_EQ(agreement.session.agreed, abi::kAsyncRead);
  EXPECT_EQ(agreement.reply.max_pages, 0);
}

TEST(Negotiate, TheLowerMinorVersionIsSpoken) {
  EXPECT_EQ(agree(offer(7, 31, 0)).reply.minor, 31u);
  EXPECT_EQ(agree(offer(7, 45, 0)).reply.minor, 45u);
  EXPECT_EQ(agree(offer(7, 46, 0)).reply.minor, 45u);
  EXPECT_EQ(agree(offer(7, 31, 0)).reply.major, 7u);
}

TEST(Negotiate, ANewerMajorVersionIsToldOursAndNothingElse) {
  auto outcome = negotiate(offer(8, 0, ~uint64_t{0}), {});
  ASSERT_TRUE(std::holds_alternative<AskAgain>(outcome));
  const abi::InitOut& reply = std::get<AskAgain>(outcome).reply;
  EXPECT_EQ(reply.major, 7u);
  EXPECT_EQ(reply.minor, 45u);
  EXPECT_EQ(reply.flags, 0u);
  EXPECT_EQ(reply.max_write, 0u);
}

TEST(Negotiate, AKernelTooOldIsRefused) {
  for (auto [major, minor] : {std::pair{7u, 30u}, {7u, 0u}, {6u, 99u}, {0u, 0u}}) {
    auto outcome = negotiate(offer(major, minor, 0), {});
    ASSERT_TRUE(std::holds_alternative<Refusal>(outcome));
    EXPECT_EQ(std::get<Refusal>(outcome), Refusal::kBadVersion);
  }
}

TEST(Negotiate, WishesAreAskedForWhereTheyAreOffered) {
  Wishes wishes{
      .skip_opens = true, .skip_folder_opens = true, .passthrough = true, .io_uring = true};
  Agreement agreement = agree(offer(7, 45, ~uint64_t{0}), wishes);
  for (uint64_t flag : {abi::kNoOpendirSupport, abi::kPassthrough, abi::kOverIoUring})
    EXPECT_TRUE(agreement.session.has(flag)) << flag;
  EXPECT_EQ(agreement.reply.flags2, static_cast<uint32_t>(agreement.session.agreed >> 32));
  EXPECT_EQ(agreement.reply.max_stack_depth, 1u);
  EXPECT_FALSE(agreement.session.has(abi::kNoOpenSupport));
  Agreement old = agree(offer(7, 38, abi::kInitExt | abi::kNoOpenSupport), wishes);
  EXPECT_TRUE(old.session.has(abi::kNoOpenSupport));
  EXPECT_FALSE(old.session.has(abi::kPassthrough));
  EXPECT_EQ(old.reply.max_stack_depth, 0u);
}

}  // namespace
}  // namespace castore::fuse
