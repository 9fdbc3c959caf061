// SPDX-License-Identifier: MIT OR Apache-2.0
#include "digest/digest.h"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>

#include "digest/blake3.h"

namespace castore {
namespace {

constexpr std::string_view kHelloText = "blake3-XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww=";

std::string parse_error(std::string_view text) {
  auto digest = Digest::parse(text);
  if (digest) return "(accepted)";
  EXPECT_EQ(digest.error().kind(), ErrorKind::kInvalidArgument);
  return digest.error().message();
}

TEST(DigestTest, PrintsAsBase64AndHex) {
  Digest digest = blake3("Hello World!");
  EXPECT_EQ(digest.to_text(), kHelloText);
  EXPECT_EQ(digest.to_text().size(), Digest::kTextBytes);
  EXPECT_EQ(fmt::format("{}", digest), kHelloText);
  EXPECT_EQ(digest.to_hex(), "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
  EXPECT_EQ(blake3("").to_text(), "blake3-rxNJufX5oaagQE3qNtzJSZvLJcmtwRK3zJqTyuQfMmI=");
}

TEST(DigestTest, ParsesBothPrefixes) {
  EXPECT_EQ(Digest::parse(kHelloText), blake3("Hello World!"));
  EXPECT_EQ(Digest::parse("b3:XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww="),
            blake3("Hello World!"));
}

TEST(DigestTest, ATextWithoutAKnownPrefixIsAnInvalidHashType) {
  for (std::string_view text :
       {"", "blake3", "XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww=", "blake3:AAAA", "b3-AAAA",
        "BLAKE3-XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww=", " blake3-", "sha256-AAAA"})
    EXPECT_TRUE(parse_error(text).starts_with("invalid hash type")) << text;
}

TEST(DigestTest, BrokenBase64CountsTheWholeText) {
  EXPECT_EQ(parse_error("blake3-XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww"),
            "invalid digest length: 50");
  EXPECT_EQ(parse_error("blake3-XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRwx="),
            "invalid digest length: 51")
      << "bits left over";
  EXPECT_EQ(parse_error("blake3-XKeBWty0hOmhNsEe_mnB1TAXbVSbXRjQOOtSgLSzRww="),
            "invalid digest length: 51")
      << "the other alphabet";
  EXPECT_EQ(parse_error("blake3-XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww=\n"),
            "invalid digest length: 52");
  EXPECT_EQ(parse_error("b3:A"), "invalid digest length: 4");
}

TEST(DigestTest, AWrongNumberOfBytesIsNamed) {
  EXPECT_EQ(parse_error("blake3-"), "invalid digest length: 0");
  EXPECT_EQ(parse_error("blake3-AEI="), "invalid digest length: 2");
  EXPECT_EQ(Digest::from_bytes(bytes_of(std::string(31, 'x'))).error().message(),
            "invalid digest length: 31");
  EXPECT_EQ(Digest::from_bytes(bytes_of(std::string(33, 'x'))).error().message(),
            "invalid digest length: 33");
}

TEST(DigestTest, IsOrderedBytewise) {
  std::string low(32, '\0');
  std::string high(32, '\0');
  high[0] = '\x80';
  std::string last = low;
  last[31] = '\x01';
  auto digest = [](const std::string& bytes) { return *Digest::from_bytes(bytes_of(bytes)); };
  EXPECT_EQ(digest(low), Digest());
  EXPECT_LT(digest(low), digest(last));
  EXPECT_LT(digest(last), digest(high));
}

TEST(DigestTest, IsAKeyOfHashTables) {
  std::unordered_set<Digest> set{blake3("a"), blake3("b"), blake3("a")};
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.contains(blake3("b")));
  EXPECT_FALSE(set.contains(blake3("c")));
}

}  // namespace
}  // namespace castore
