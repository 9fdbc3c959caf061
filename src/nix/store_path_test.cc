// SPDX-License-Identifier: MIT OR Apache-2.0
#include "nix/store_path.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hex.h"

namespace castore::nix {
namespace {

using namespace std::string_literals;

constexpr std::string_view kNetTools =
    "00bgd045z0d4icpbc2yyz4gx48ak44la-net-tools-1.60_p20170221182432";

std::string parse_error(std::string_view text) {
  auto path = StorePath::parse(text);
  if (path) return "(accepted)";
  EXPECT_EQ(path.error().kind(), ErrorKind::kInvalidArgument);
  return path.error().message();
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(StorePathTest, ParsesABaseNameAndWritesItBack) {
  auto path = StorePath::parse(kNetTools);
  ASSERT_TRUE(path) << path.error().message();
  EXPECT_EQ(hex_encode(path->digest().bytes()), "8a12321522fd91efbd60ebb2481af88580f61600");
  EXPECT_EQ(path->name(), "net-tools-1.60_p20170221182432");
  EXPECT_EQ(path->base_name(), kNetTools);
  EXPECT_EQ(path->absolute(), "/nix/store/" + std::string(kNetTools));
  EXPECT_EQ(StorePath::parse_absolute(path->absolute()), *path);
}

TEST(StorePathTest, ALeadingDotIsFine) {
  EXPECT_EQ(StorePath::parse("fli4bwscgna7lpm7v5xgnjxrxh0yc7ra-.gitignore")->name(), ".gitignore");
}

TEST(StorePathTest, EachFaultIsNamed) {
  const std::string digest = "00bgd045z0d4icpbc2yyz4gx48ak44la";
  EXPECT_CONTAINS(parse_error(""), "it has 0 characters");
  EXPECT_CONTAINS(parse_error("00bgd045z0d4icpbc2yyz4gx48ak44-net-tools"), "are not nixbase32");
  EXPECT_CONTAINS(parse_error(digest + "-"), "it has 33 characters");
  EXPECT_CONTAINS(parse_error("00bgd045z0d4icpbc2yyz4gx48ak44lu-net-tools"), "are not nixbase32");
  EXPECT_CONTAINS(parse_error(digest + "net-tools"), "no dash after");
  EXPECT_CONTAINS(parse_error(digest + "-" + std::string(212, 'x')), "has 212 characters");
  EXPECT_EQ(parse_error(digest + "-" + std::string(211, 'x')), "(accepted)");
  EXPECT_CONTAINS(parse_error(digest + "-net-tools/bin/arp"), "the character '/' at position 9");
  EXPECT_CONTAINS(parse_error(digest + "-a\0"s), "the character '\\x00' at position 1");
  EXPECT_CONTAINS(parse_error(digest + "-\xc3\xa4"), "the character '\\xc3' at position 0");
}

TEST(StorePathTest, TheFirstFaultDecides) {
  EXPECT_CONTAINS(parse_error("u"), "it has 1 characters");
  EXPECT_CONTAINS(parse_error(std::string(32, 'u') + "_" + std::string(300, '/')), "nixbase32");
  EXPECT_CONTAINS(parse_error(std::string(32, '0') + "_" + std::string(300, '/')), "no dash");
  EXPECT_CONTAINS(parse_error(std::string(32, '0') + "-" + std::string(300, '/')), "has 300 char");
}

TEST(StorePathTest, NamesHaveAFixedSetOfCharacters) {
  EXPECT_TRUE(check_store_path_name("ABCXYZabcxyz0189+-_?=."));
  EXPECT_TRUE(check_store_path_name("."));
  EXPECT_TRUE(check_store_path_name(".."));
  std::string allowed;
  for (int c = 0; c < 256; ++c) {
    std::string name(1, static_cast<char>(c));
    if (check_store_path_name(name)) allowed += name;
  }
  EXPECT_EQ(allowed, "+-.0123456789=?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
  EXPECT_FALSE(check_store_path_name(""));
}

TEST(StorePathTest, AnAbsolutePathBeginsWithTheStore) {
  for (std::string_view text : {"foobar-123", "/nix/stor/x", "nix/store/x", "/nix/store", ""}) {
    auto path = StorePath::parse_absolute(text);
    ASSERT_FALSE(path) << text;
    EXPECT_CONTAINS(path.error().message(), "does not begin with /nix/store/");
  }
  EXPECT_FALSE(StorePath::parse_absolute("/nix/store/"));
  EXPECT_FALSE(StorePath::parse_absolute("/nix/store/" + std::string(kNetTools) + "/bin"));
}

TEST(StorePathTest, SplitsOffWhatIsBelow) {
  const std::string whole = "/nix/store/" + std::string(kNetTools);
  EXPECT_EQ(split_absolute(whole)->path.base_name(), kNetTools);
  EXPECT_EQ(split_absolute(whole)->rest, "");
  EXPECT_EQ(split_absolute(whole + "/")->rest, "");
  EXPECT_EQ(split_absolute(whole + "/bin/arp")->path.base_name(), kNetTools);
  EXPECT_EQ(split_absolute(whole + "/bin/arp")->rest, "bin/arp");
  EXPECT_CONTAINS(split_absolute("/nix/store/").error().message(), "it has 0 characters");
  EXPECT_CONTAINS(split_absolute("/nix/store/foo").error().message(), "it has 3 characters");
  EXPECT_CONTAINS(split_absolute("foo").error().message(), "does not begin with /nix/store/");
}

TEST(StorePathDigestTest, IsOrderedAsItsText) {
  std::vector<std::string> texts = {
      "00000000000000000000000000000001", "0000000000000000000000000000000z",
      "00000000000000000000000000000010", "00bgd045z0d4icpbc2yyz4gx48ak44la",
      "fli4bwscgna7lpm7v5xgnjxrxh0yc7ra", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"};
  for (size_t i = 0; i + 1 < texts.size(); ++i) {
    auto low = StorePath::parse(texts[i] + "-a")->digest();
    auto high = StorePath::parse(texts[i + 1] + "-a")->digest();
    EXPECT_LT(low, high);
    EXPECT_GT(high, low);
    EXPECT_EQ(low <=> low, std::strong_ordering::equal);
    EXPECT_EQ(low.to_text(), texts[i]);
  }
}

TEST(StorePathDigestTest, HasTwentyBytes) {
  EXPECT_TRUE(StorePathDigest::from_bytes(bytes_of(std::string(20, 'x'))));
  EXPECT_EQ(StorePathDigest::from_bytes(bytes_of(std::string(19, 'x'))).error().message(),
            "invalid store path digest length: 19");
}

// The expected paths are those that Nix computes.
TEST(StorePathOfNarTest, FollowsFromTheHashAndTheName) {
  struct Case {
    std::string_view nar_sha256;
    std::string_view path;
  };
  for (const Case& c : {
           Case{"ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a",
                "pngqdzggfqs4q7fg6iywqnlzcgsp85qr-complicated"},
           Case{"0f505d3622a876c7b954b25dafc819616a2a323f0f390c3ca0416cc63ab4ddaa",
                "hxihxm7fm145assrh34qn16w3i44wsbx-mixed"},
           Case{"7eac16261211a2cc54e8049be4211285b89ac3ed48dc799e3bac1267ec714ec0",
                "4640ydbkzpczq3s3cavpchvd8ib8h4cb-one-file"},
           Case{"a50a5ab6d992f5598edd92105059fae9acfc192981e08bd88534c2167e92526a",
                "gygiwca87yqrsr9rgm137lwlyjnz1mg1-empty-dir"},
           Case{"097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1",
                "11i0w7x0adl6iyydsilpl0nc8v1zc2m4-symlink"},
           Case{"03e7f63be30b065d78bcf615f5473545fdb4eb69aa416f43495b4e05cdfb8040",
                "7md3dnsc538ipyd9gyk5v539yqrbs880-file-hw"},
           Case{"3b63b97bae149b3e6650437b9077c3d75b130192145792ec94ea3af96a8c567a",
                "cjpl33jn3hp6b89fwbaazpaipk74j0wx-file-hw-exec"},
       }) {
    Sha256 hash;
    std::ranges::copy(*hex_decode(c.nar_sha256), hash.begin());
    auto expected = StorePath::parse(c.path);
    ASSERT_TRUE(expected);
    EXPECT_EQ(store_path_of_nar(hash, expected->name())->base_name(), c.path);
  }
}

TEST(StorePathOfNarTest, ReferencesAndSelfReferenceChangeThePath) {
  Sha256 hash{};
  StorePath reference = *StorePath::parse(kNetTools);
  std::string plain = store_path_of_nar(hash, "a")->base_name();
  std::string with_reference = store_path_of_nar(hash, "a", {&reference, 1})->base_name();
  std::string with_self = store_path_of_nar(hash, "a", {}, true)->base_name();
  EXPECT_NE(plain, with_reference);
  EXPECT_NE(plain, with_self);
  EXPECT_NE(with_reference, with_self);
}

TEST(StorePathOfNarTest, RefusesInvalidNames) {
  EXPECT_FALSE(store_path_of_nar(Sha256{}, ""));
  EXPECT_FALSE(store_path_of_nar(Sha256{}, "a b"));
  EXPECT_FALSE(store_path_of_nar(Sha256{}, std::string(212, 'x')));
}

}  // namespace
}  // namespace castore::nix
