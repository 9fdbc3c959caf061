// SPDX-License-Identifier: MIT OR Apache-2.0
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/hex.h"
#include "base/varint.h"

namespace castore {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

std::vector<std::byte> random_bytes(std::mt19937& random, size_t length) {
  std::vector<std::byte> bytes(length);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random() & 0xff);
  return bytes;
}

std::string text_of_decoded(const std::optional<std::vector<std::byte>>& decoded) {
  return decoded ? std::string(text_of(*decoded)) : "(refused)";
}

TEST(HexTest, EncodesInLowerCase) {
  EXPECT_EQ(hex_encode(bytes_of("")), "");
  EXPECT_EQ(hex_encode(bytes_of("\x00\x0f\xa0\xff"sv)), "000fa0ff");
}

TEST(HexTest, DecodesWhatItEncoded) {
  std::mt19937 random(1);
  for (size_t length = 0; length < 70; ++length) {
    auto bytes = random_bytes(random, length);
    EXPECT_EQ(hex_decode(hex_encode(bytes)), bytes);
  }
}

TEST(HexTest, RefusesOddLengthsUpperCaseAndOtherCharacters) {
  for (std::string_view text :
       {"0"sv, "abc"sv, "AB"sv, "aB"sv, "0g"sv, " 0"sv, "0x"sv, "00 "sv, "\0\0"sv})
    EXPECT_FALSE(hex_decode(text)) << text;
}

TEST(Base64Test, EncodesTheExamplesOfTheRfc) {
  EXPECT_EQ(base64_encode(bytes_of("")), "");
  EXPECT_EQ(base64_encode(bytes_of("f")), "Zg==");
  EXPECT_EQ(base64_encode(bytes_of("fo")), "Zm8=");
  EXPECT_EQ(base64_encode(bytes_of("foo")), "Zm9v");
  EXPECT_EQ(base64_encode(bytes_of("foob")), "Zm9vYg==");
  EXPECT_EQ(base64_encode(bytes_of("\xfb\xff\xbf")), "+/+/");
}

TEST(Base64Test, DecodesWhatItEncoded) {
  std::mt19937 random(2);
  for (size_t length = 0; length < 200; ++length) {
    auto bytes = random_bytes(random, length);
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
}

TEST(Base64Test, RefusesEverySecondTextForTheSameBytes) {
  EXPECT_EQ(text_of_decoded(base64_decode("Zg==")), "f");
  for (std::string_view text :
       {"Zg"sv, "Zg="sv, "Zg==="sv, "Zh=="sv, "Zm9="sv, "Zm9v\n"sv, "Zm 9v"sv, "Z=g="sv, "=Zg="sv,
        "===="sv, "="sv, "=="sv, "Zg==Zg=="sv, "-_-_"sv, "Zg=\0"sv, "Z\xc3\xa4="sv})
    EXPECT_FALSE(base64_decode(text)) << text;
}

TEST(VarintTest, AppendsTheShortestFormAndKnowsItsSize) {
  struct Case {
    uint64_t value;
    std::string bytes;
  };
  for (const Case& c : {Case{0, "\0"s}, Case{1, "\x01"}, Case{127, "\x7f"}, Case{128, "\x80\x01"},
                        Case{300, "\xac\x02"}, Case{16383, "\xff\x7f"}, Case{16384, "\x80\x80\x01"},
                        Case{UINT32_MAX, "\xff\xff\xff\xff\x0f"},
                        Case{UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}}) {
    std::string out;
    append_varint(out, c.value);
    EXPECT_EQ(out, c.bytes) << c.value;
    EXPECT_EQ(varint_size(c.value), c.bytes.size()) << c.value;
    ByteView in = bytes_of(c.bytes);
    EXPECT_EQ(take_minimal_varint(in), c.value);
    EXPECT_TRUE(in.empty());
  }
}

TEST(VarintTest, TakesItsBytesOffTheFrontOnly) {
  std::string bytes = "\x80\x01\x05"s;
  ByteView in = bytes_of(bytes);
  EXPECT_EQ(take_minimal_varint(in), 128u);
  EXPECT_EQ(text_of(in), "\x05");
}

TEST(VarintTest, RefusesLongCutOffAndOverlargeForms) {
  for (const std::string& bytes :
       {""s, "\x80"s, "\xff\xff"s,                           // cut off
        "\x80\x00"s, "\xff\x00"s, "\x81\x80\x00"s,           // longer than need be
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s,         // 65 bits
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"s}) {  // 11 bytes
    ByteView in = bytes_of(bytes);
    EXPECT_FALSE(take_minimal_varint(in)) << hex_encode(bytes_of(bytes));
  }
}

TEST(BytesTest, ASliceKeepsItsOwnerAlive) {
  Bytes slice;
  {
    Bytes whole = Bytes::take(std::string(1000, 'a') + "tail");
    slice = whole.slice(1000, 4);
  }
  EXPECT_EQ(slice.text(), "tail");
  EXPECT_EQ(slice, Bytes::copy_of("tail"));
  EXPECT_NE(slice, Bytes::copy_of("tale"));
}

}  // namespace
}  // namespace castore
