// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/name.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace castore {
namespace {

using namespace std::string_literals;
using Names = std::vector<std::string>;

TEST(NameTest, AnyBytesButNulAndSlashAreFine) {
  for (const std::string& name :
       {"a"s, "foo.txt"s, ".keep"s, "..."s, ". "s, "..a"s, "a.."s, " "s, "\n"s, "\x01"s, "\\"s,
        "\xc5\xc4\xd6"s, "\xff"s, std::string(255, 'X')})
    EXPECT_EQ(check_name(name), std::nullopt) << printable(name);
}

TEST(NameTest, EachRuleHasItsFault) {
  EXPECT_EQ(check_name(""), NameFault::kEmpty);
  EXPECT_EQ(check_name(".."), NameFault::kParent);
  EXPECT_EQ(check_name("."), NameFault::kCurDir);
  EXPECT_EQ(check_name(std::string(256, 'X')), NameFault::kTooLong);
  EXPECT_EQ(check_name("\0"s), NameFault::kNull);
  EXPECT_EQ(check_name("a\0b"s), NameFault::kNull);
  EXPECT_EQ(check_name("/"), NameFault::kSlashes);
  EXPECT_EQ(check_name("foo/bar"), NameFault::kSlashes);
}

TEST(NameTest, TheFirstBrokenRuleDecides) {
  EXPECT_EQ(check_name(std::string(256, '\0')), NameFault::kTooLong);
  EXPECT_EQ(check_name(std::string(256, '/')), NameFault::kTooLong);
  EXPECT_EQ(check_name("/\0"s), NameFault::kNull);
  EXPECT_EQ(check_name("../"), NameFault::kSlashes);
}

TEST(NameTest, FaultsAreDescribedInTheWordsOfTheFormat) {
  EXPECT_EQ(describe(NameFault::kEmpty), "cannot be empty");
  EXPECT_EQ(describe(NameFault::kParent), "cannot be '..'");
  EXPECT_EQ(describe(NameFault::kCurDir), "cannot be '.'");
  EXPECT_EQ(describe(NameFault::kTooLong), "cannot be over 255 bytes long");
  EXPECT_EQ(describe(NameFault::kNull), "cannot contain null bytes");
  EXPECT_EQ(describe(NameFault::kSlashes), "cannot contain slashes");
}

TEST(NameTest, TheErrorShowsTheNameSafely) {
  EXPECT_TRUE(require_valid_name("fine"));
  auto error = require_valid_name("a/\xff\n").error();
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(error.message(), "unable to convert 'a/\\xff\\x0a': cannot contain slashes");
}

TEST(PrintableTest, KeepsVisibleAsciiAndEscapesTheRest) {
  EXPECT_EQ(printable("a b~"), "a b~");
  EXPECT_EQ(printable("\x1b[31m\x7f\xc3\xa4\0"s), "\\x1b[31m\\x7f\\xc3\\xa4\\x00");
}

TEST(RelativePathTest, SplitsAtSlashes) {
  EXPECT_EQ(parse_relative_path(""), Names{});
  EXPECT_EQ(parse_relative_path("a"), Names{"a"});
  EXPECT_EQ(parse_relative_path("a/b c/\xff"), (Names{"a", "b c", "\xff"}));
}

TEST(RelativePathTest, RefusesEveryInvalidComponent) {
  for (const std::string& path : {"/"s, "/a"s, "a/"s, "a//b"s, "."s, "a/./b"s, "a/.."s, "a\0/b"s,
                                  "a/" + std::string(256, 'x')})
    EXPECT_EQ(parse_relative_path(path).error().kind(), ErrorKind::kInvalidArgument)
        << printable(path);
}

}  // namespace
}  // namespace castore
