// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/request.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace castore::fuse {
namespace {

using abi::Opcode;

template <typename T>
std::string text_of_struct(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string frame(uint32_t opcode, std::string_view argument) {
  abi::InHeader header{};
  header.len = static_cast<uint32_t>(sizeof header + argument.size());
  header.opcode = opcode;
  header.unique = 42;
  header.nodeid = 7;
  return text_of_struct(header).append(argument);
}
std::string frame(Opcode opcode, std::string_view argument) {
  return frame(static_cast<uint32_t>(opcode), argument);
}

std::expected<Request, BadRequest> decode(std::string_view bytes) {
  return decode_request(bytes_of(bytes));
}

void expect_malformed(std::string_view bytes) {
  auto request = decode(bytes);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().refusal, Refusal::kMalformed);
  EXPECT_EQ(request.error().unique, 42u);
}

class DecodedRequest : public ::testing::Test {
 protected:
  template <typename T>
  T decode_as(Opcode opcode, std::string_view argument) {
    frames_.push_back(frame(opcode, argument));
    auto request = decode(frames_.back());
    EXPECT_TRUE(request);
    EXPECT_TRUE(request && std::holds_alternative<T>(request->operation));
    return request ? std::get<T>(request->operation) : T{};
  }

 private:
  std::deque<std::string> frames_;  // what was decoded may look into them
};

TEST_F(DecodedRequest, TheHeaderSaysWhoAndWhat) {
  auto request = decode(frame(Opcode::kReadlink, ""));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->unique, 42u);
  EXPECT_EQ(request->node, 7u);
  EXPECT_TRUE(std::holds_alternative<ReadlinkRequest>(request->operation));
}

TEST_F(DecodedRequest, BytesTooShortForAHeaderHaveNobodyToBeTold) {
  std::string whole = frame(Opcode::kReadlink, "");
  for (size_t length = 0; length < whole.size(); ++length) {
    auto request = decode(std::string_view(whole).substr(0, length));
    ASSERT_FALSE(request);
    EXPECT_FALSE(request.error().unique);
  }
}

TEST_F(DecodedRequest, ALengthOtherThanThatOfTheBytesIsMalformed) {
  std::string whole = frame(Opcode::kForget, text_of_struct(abi::ForgetIn{.nlookup = 1}));
  auto one_way = decode(std::string_view(whole).substr(0, whole.size() - 1));
  ASSERT_FALSE(one_way);
  EXPECT_FALSE(one_way.error().unique) << "nobody waits for an answer to FORGET";

  whole = frame(Opcode::kGetattr, text_of_struct(abi::GetattrIn{}));
  expect_malformed(std::string_view(whole).substr(0, whole.size() - 1));
  expect_malformed(whole + '\0');
}

TEST_F(DecodedRequest, EachArgumentHasExactlyItsLength) {
  struct Row {
    Opcode opcode;
    size_t bytes;
  };
  for (Row row :
       {Row{Opcode::kGetattr, 16}, Row{Opcode::kReadlink, 0}, Row{Opcode::kOpen, 8},
        Row{Opcode::kRead, 40}, Row{Opcode::kRelease, 24}, Row{Opcode::kOpendir, 8},
        Row{Opcode::kReaddir, 40}, Row{Opcode::kReaddirplus, 40}, Row{Opcode::kReleasedir, 24},
        Row{Opcode::kListxattr, 8}, Row{Opcode::kStatfs, 0}, Row{Opcode::kDestroy, 0}}) {
    SCOPED_TRACE(static_cast<uint32_t>(row.opcode));
    EXPECT_TRUE(decode(frame(row.opcode, std::string(row.bytes, '\0'))));
    expect_malformed(frame(row.opcode, std::string(row.bytes + 1, '\0')));
    expect_malformed(frame(row.opcode, std::string(row.bytes + 8, '\0')));
    if (row.bytes > 0) expect_malformed(frame(row.opcode, std::string(row.bytes - 1, '\0')));
  }
}

TEST_F(DecodedRequest, ANameIsEndedByItsOnlyNul) {
  EXPECT_EQ(decode_as<LookupRequest>(Opcode::kLookup, std::string_view("bin\0", 4)).name, "bin");
  EXPECT_EQ(decode_as<LookupRequest>(Opcode::kLookup, std::string_view("\0", 1)).name, "");
  EXPECT_EQ(decode_as<LookupRequest>(Opcode::kLookup, std::string_view("\xff\x01\0", 3)).name,
            "\xff\x01");
  expect_malformed(frame(Opcode::kLookup, ""));
  expect_malformed(frame(Opcode::kLookup, "bin"));
  expect_malformed(frame(Opcode::kLookup, std::string_view("b\0n\0", 4)));
  expect_malformed(frame(Opcode::kLookup, std::string_view("bin\0\0", 5)));
}

TEST_F(DecodedRequest, AnAttributeNameFollowsItsSize) {
  std::string argument = text_of_struct(abi::GetxattrIn{.size = 9, .padding = 0});
  auto getxattr =
      decode_as<GetxattrRequest>(Opcode::kGetxattr, argument + std::string("user.x\0", 7));
  EXPECT_EQ(getxattr.name, "user.x");
  EXPECT_EQ(getxattr.size, 9u);
  expect_malformed(frame(Opcode::kGetxattr, argument));
  expect_malformed(frame(Opcode::kGetxattr, argument.substr(0, 7)));
}

TEST_F(DecodedRequest, ABatchHoldsAsManyItemsAsItCounts) {
  auto batch = [](uint32_t count, const std::string& items) {
    return text_of_struct(abi::BatchForgetIn{.count = count, .dummy = 0}) + items;
  };
  std::string two = text_of_struct(abi::ForgetOne{.nodeid = 3, .nlookup = 1}) +
                    text_of_struct(abi::ForgetOne{.nodeid = 4, .nlookup = 9});
  auto forget = decode_as<BatchForgetRequest>(Opcode::kBatchForget, batch(2, two));
  ASSERT_EQ(forget.count(), 2u);
  EXPECT_EQ(forget.item(0).nodeid, 3u);
  EXPECT_EQ(forget.item(1).nodeid, 4u);
  EXPECT_EQ(forget.item(1).nlookup, 9u);
  EXPECT_EQ(decode_as<BatchForgetRequest>(Opcode::kBatchForget, batch(0, "")).count(), 0u);
  for (uint32_t count : {0u, 1u, 3u, 0x1000'0000u, 0xffff'ffffu})
    EXPECT_FALSE(decode(frame(Opcode::kBatchForget, batch(count, two)))) << count;
  EXPECT_FALSE(decode(frame(Opcode::kBatchForget, batch(1, ""))));
}

TEST_F(DecodedRequest, OpeningForWritingIsSeen) {
  auto open = [this](uint32_t flags) {
    return decode_as<OpenRequest>(Opcode::kOpen,
                                  text_of_struct(abi::OpenIn{.flags = flags, .open_flags = 0}))
        .for_writing;
  };
  EXPECT_FALSE(open(O_RDONLY));
  EXPECT_FALSE(open(O_RDONLY | O_DIRECT | O_NOFOLLOW));
  EXPECT_TRUE(open(O_WRONLY));
  EXPECT_TRUE(open(O_RDWR));
  EXPECT_TRUE(open(O_RDONLY | O_TRUNC));
}

TEST_F(DecodedRequest, InitReadsBothHalvesOfTheFlags) {
  abi::InitIn in{.major = 7, .minor = 45, .max_readahead = 5, .flags = 1u << 30 | 1u};
  abi::InitInExtension extension{};
  extension.flags2 = 1u << 5;
  auto init = decode_as<InitRequest>(Opcode::kInit, text_of_struct(in) + text_of_struct(extension));
  EXPECT_EQ(init.flags, abi::kInitExt | abi::kAsyncRead | abi::kPassthrough);
  EXPECT_EQ(init.minor, 45u);
  EXPECT_EQ(init.max_readahead, 5u);
}

TEST_F(DecodedRequest, InitOfAnOlderKernelIsShorter) {
  abi::InitIn in{.major = 7, .minor = 31, .max_readahead = 0, .flags = 1};
  EXPECT_EQ(decode_as<InitRequest>(Opcode::kInit, text_of_struct(in)).flags, abi::kAsyncRead);
}

TEST_F(DecodedRequest, InitMayGrowButNotShrink) {
  abi::InitIn in{.major = 7, .minor = 99, .max_readahead = 0, .flags = 1u << 30};
  std::string whole = text_of_struct(in) + text_of_struct(abi::InitInExtension{});
  EXPECT_TRUE(decode(frame(Opcode::kInit, whole + std::string(40, 'x'))));
  expect_malformed(frame(Opcode::kInit, whole.substr(0, whole.size() - 1)));
  expect_malformed(frame(Opcode::kInit, whole.substr(0, 15)));
}

TEST_F(DecodedRequest, ExtensionsBehindTheArgumentArePassedOver) {
  std::string whole = frame(Opcode::kLookup, std::string("bin\0", 4) + std::string(16, 'x'));
  abi::InHeader header;
  std::memcpy(&header, whole.data(), sizeof header);
  header.total_extlen = 2;
  whole.replace(0, sizeof header, text_of_struct(header));
  auto request = decode(whole);
  ASSERT_TRUE(request);
  EXPECT_EQ(std::get<LookupRequest>(request->operation).name, "bin");

  header.total_extlen = 3;  // longer than what is there
  whole.replace(0, sizeof header, text_of_struct(header));
  expect_malformed(whole);
}

TEST_F(DecodedRequest, SeekKnowsDataAndHoles) {
  auto lseek = [](uint32_t whence) {
    abi::LseekIn in{.fh = 1, .offset = 2, .whence = whence, .padding = 0};
    return frame(Opcode::kLseek, text_of_struct(in));
  };
  auto data = decode(lseek(SEEK_DATA));
  ASSERT_TRUE(data);
  EXPECT_EQ(std::get<LseekRequest>(data->operation).what, fs::SeekFor::kData);
  auto hole = decode(lseek(SEEK_HOLE));
  ASSERT_TRUE(hole);
  EXPECT_EQ(std::get<LseekRequest>(hole->operation).what, fs::SeekFor::kHole);
  auto other = decode(lseek(SEEK_END));
  ASSERT_TRUE(other);
  EXPECT_EQ(std::get<RefusedRequest>(other->operation).refusal, Refusal::kMalformed);
}

TEST_F(DecodedRequest, WhatWouldChangeSomethingIsRefusedWhateverItsArgument) {
  for (Opcode opcode :
       {Opcode::kSetattr, Opcode::kSymlink, Opcode::kMknod, Opcode::kMkdir, Opcode::kUnlink,
        Opcode::kRmdir, Opcode::kRename, Opcode::kRename2, Opcode::kLink, Opcode::kWrite,
        Opcode::kSetxattr, Opcode::kRemovexattr, Opcode::kCreate, Opcode::kFallocate,
        Opcode::kTmpfile, Opcode::kCopyFileRange, Opcode::kCopyFileRange64}) {
    EXPECT_EQ(decode_as<RefusedRequest>(opcode, "").refusal, Refusal::kReadOnly);
    EXPECT_EQ(decode_as<RefusedRequest>(opcode, "anything").refusal, Refusal::kReadOnly);
  }
}

TEST_F(DecodedRequest, AnOpcodeOfTheFutureIsNotImplemented) {
  for (uint32_t opcode : {0u, 7u, 19u, 54u, 1000u, 4096u, 0xffff'ffffu}) {
    auto request = decode(frame(opcode, "anything"));
    ASSERT_TRUE(request) << opcode;
    EXPECT_EQ(std::get<RefusedRequest>(request->operation).refusal, Refusal::kNotImplemented);
  }
}

}  // namespace
}  // namespace castore::fuse
