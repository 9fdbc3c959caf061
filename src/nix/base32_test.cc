// SPDX-License-Identifier: MIT OR Apache-2.0
#include "nix/base32.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/hex.h"

namespace castore::nix {
namespace {

std::string encode_hex(std::string_view hex) {
  return base32_encode(*hex_decode(hex));
}

std::string decode_to_hex(std::string_view text) {
  auto bytes = base32_decode(text);
  return bytes ? hex_encode(*bytes) : "(refused)";
}

TEST(Base32Test, KnowsTheExamplesOfTheFormat) {
  struct Case {
    std::string_view hex;
    std::string_view text;
  };
  for (const Case& c :
       {Case{"", ""}, Case{"1f", "0z"},
        Case{"8a12321522fd91efbd60ebb2481af88580f61600", "00bgd045z0d4icpbc2yyz4gx48ak44la"},
        Case{"b3a24de97a8fdbc835b9833169501030b8977031bcb54b3b3ac13740f846ab30",
             "0c5b8vw40dy178xlpddw65q9gf1h2186jcc3p4swinwggbllv8mk"}}) {
    EXPECT_EQ(encode_hex(c.hex), c.text);
    EXPECT_EQ(decode_to_hex(c.text), c.hex);
  }
}

TEST(Base32Test, LengthsAreThoseOfHashes) {
  EXPECT_EQ(base32_size(0), 0u);
  EXPECT_EQ(base32_size(16), 26u);
  EXPECT_EQ(base32_size(20), 32u);
  EXPECT_EQ(base32_size(32), 52u);
  EXPECT_EQ(base32_size(64), 103u);
}

TEST(Base32Test, DecodesWhatItEncoded) {
  std::mt19937 random(5);
  for (size_t length = 0; length < 100; ++length) {
    std::vector<std::byte> bytes(length);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random() & 0xff);
    EXPECT_EQ(base32_decode(base32_encode(bytes)), bytes);
  }
}

TEST(Base32Test, RefusesLengthsThatNothingEncodesTo) {
  for (size_t length : {1u, 3u, 6u, 9u, 11u, 14u})
    EXPECT_FALSE(base32_decode(std::string(length, '0'))) << length;
  EXPECT_FALSE(base32_decode("0zz"));
}

TEST(Base32Test, RefusesBitsThatAreLeftOver) {
  EXPECT_FALSE(base32_decode("zz"));
  EXPECT_FALSE(base32_decode("c0"));
  EXPECT_FALSE(base32_decode("80"));
  EXPECT_EQ(decode_to_hex("7z"), "ff");
}

TEST(Base32Test, RefusesOtherCharacters) {
  for (char c : std::string("eotuABZ-/ \n\0\xff", 14)) {
    std::string text = "00bgd045z0d4icpbc2yyz4gx48ak44la";
    text[7] = c;
    EXPECT_FALSE(base32_decode(text)) << static_cast<int>(c);
  }
}

}  // namespace
}  // namespace castore::nix
