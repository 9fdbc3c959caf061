// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/display.h"

#include <gtest/gtest.h>

namespace castore::cli {
namespace {

TEST(DisplayText, LeavesPrintableUtf8Alone) {
  EXPECT_EQ(display_text("plain ~ text"), "plain ~ text");
  EXPECT_EQ(display_text("gr\u00fc\u00dfe \u65e5\u672c \U0001f980"),
            "gr\u00fc\u00dfe \u65e5\u672c \U0001f980");
}

TEST(DisplayText, EscapesWhatWouldSteerATerminal) {
  EXPECT_EQ(display_text("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(display_text("line\nfeed\r\t\x7f"), "line\\x0afeed\\x0d\\x09\\x7f");
  EXPECT_EQ(display_text("\u009b"), "\\xc2\\x9b");
  EXPECT_EQ(display_text("\u202egpj"), "\\xe2\\x80\\xaegpj");
}

TEST(DisplayText, EscapesBytesThatAreNotUtf8AndGoesOnAfterThem) {
  EXPECT_EQ(display_text("\xff\xfe ok"), "\\xff\\xfe ok");
  EXPECT_EQ(display_text("cut \xe6\x97"), "cut \\xe6\\x97");
}

TEST(IsUtf8, RefusesOverlongSurrogatesAndTooLarge) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
  EXPECT_FALSE(is_utf8("\xc0\xaf"));
  EXPECT_FALSE(is_utf8("\xe0\x80\xaf"));
  EXPECT_FALSE(is_utf8("\xf0\x80\x80\xaf"));
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));
  EXPECT_FALSE(is_utf8("\x80"));
}

TEST(DisplayBytes, ChoosesTheUnitThatKeepsNumbersShort) {
  EXPECT_EQ(display_bytes(0), "0 B");
  EXPECT_EQ(display_bytes(1023), "1023 B");
  EXPECT_EQ(display_bytes(1024), "1.0 KiB");
  EXPECT_EQ(display_bytes(10 * 1024), "10 KiB");
  EXPECT_EQ(display_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(display_bytes(uint64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(display_bytes(UINT64_MAX), "16 EiB");
}

TEST(DisplayCount, SeparatesThousands) {
  EXPECT_EQ(display_count(0), "0");
  EXPECT_EQ(display_count(999), "999");
  EXPECT_EQ(display_count(1000), "1,000");
  EXPECT_EQ(display_count(1234567), "1,234,567");
}

}  // namespace
}  // namespace castore::cli
