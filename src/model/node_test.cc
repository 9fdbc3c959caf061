// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/node.h"

#include <gtest/gtest.h>

#include <string>

#include "base/hex.h"
#include "digest/blake3.h"
#include "model/name.h"

namespace castore {
namespace {

using namespace std::string_literals;

const Digest kWithKeep = *Digest::parse("blake3-i1tdZCtka7jtUEsIYsOUE+h+V0kUl9570HWVP3uDgQ4=");
const Digest kHello = blake3("Hello World!");
constexpr std::string_view kHelloHex =
    "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c";

Node symlink(std::string target) {
  return SymlinkNode{*SymlinkTarget::parse(std::move(target))};
}

std::string unhex(std::string_view hex) {
  auto bytes = hex_decode(hex);
  EXPECT_TRUE(bytes) << hex;
  return std::string(text_of(*bytes));
}

std::string hex_of_entry(const Node& node) {
  return hex_encode(bytes_of(encode_entry("", node)));
}

std::string decode_error(const std::string& hex) {
  std::string bytes = unhex(hex);
  auto decoded = decode_entry(bytes_of(bytes));
  if (decoded) return "(accepted)";
  EXPECT_EQ(decoded.error().kind(), ErrorKind::kCorrupt);
  return decoded.error().message();
}

TEST(SymlinkTargetTest, KeepsAnyValidTargetAsItIs) {
  for (const std::string& target : {"a"s, "/nix/store/x"s, "."s, ".."s, "./.."s, "a//b/"s, "/"s,
                                    "\xc5\xc4\xd6"s, std::string(4095, 'x')}) {
    auto parsed = SymlinkTarget::parse(target);
    ASSERT_TRUE(parsed) << printable(target);
    EXPECT_EQ(parsed->text(), target);
  }
}

TEST(SymlinkTargetTest, TheFirstBrokenRuleDecides) {
  EXPECT_EQ(check_symlink_target(""), SymlinkTargetFault::kEmpty);
  EXPECT_EQ(check_symlink_target(std::string(4096, 'x')), SymlinkTargetFault::kTooLong);
  EXPECT_EQ(check_symlink_target(std::string(4096, '\0')), SymlinkTargetFault::kTooLong);
  EXPECT_EQ(check_symlink_target("a\0"s), SymlinkTargetFault::kNull);
  EXPECT_EQ(SymlinkTarget::parse("a\0"s).error().message(),
            "invalid symlink target 'a\\x00': cannot contain null bytes");
}

// The encodings that peers put into NAR URLs.
TEST(EntryTest, AnonymousNodesHaveTheKnownEncodings) {
  EXPECT_EQ(hex_of_entry(DirectoryNode{blake3(""), 0}),
            "0a221220af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  EXPECT_EQ(hex_of_entry(DirectoryNode{kWithKeep, 1}),
            "0a2412208b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e1801");
  EXPECT_EQ(hex_of_entry(DirectoryNode{kWithKeep, 2}),
            "0a2412208b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e1802");
  EXPECT_EQ(hex_of_entry(FileNode{kHello, 12, false}), fmt::format("12241220{}180c", kHelloHex));
  EXPECT_EQ(hex_of_entry(FileNode{kHello, 12, true}), fmt::format("12261220{}180c2001", kHelloHex));
  EXPECT_EQ(hex_of_entry(FileNode{blake3(""), 0, false}),
            "12221220af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  EXPECT_EQ(hex_of_entry(symlink("/nix/store/somewhereelse")),
            "1a1a12182f6e69782f73746f72652f736f6d657768657265656c7365");
}

TEST(EntryTest, DecodesWhatItEncoded) {
  for (const Node& node :
       {Node(DirectoryNode{kWithKeep, 2}), Node(DirectoryNode{kHello, 0}),
        Node(DirectoryNode{kHello, UINT64_MAX}), Node(FileNode{kHello, 12, true}),
        Node(FileNode{kHello, uint64_t{1} << 40, false}), symlink("a"),
        symlink(std::string(4095, 'x'))})
    for (const std::string& name : {""s, "name"s, "not/valid/here"s}) {
      auto decoded = decode_entry(bytes_of(encode_entry(name, node)));
      ASSERT_TRUE(decoded) << decoded.error().message();
      EXPECT_EQ(decoded->name, name);
      EXPECT_EQ(decoded->node, node);
    }
}

TEST(EntryTest, DecodesAUrlSeenInTheWild) {
  std::string bytes = unhex(
      "0a251220"
      "04e1fa51d0d83a7ddac2497ce1a0d3eb3c98b8b3c07734cf73ad43de777f0494"
      "18da02");
  auto decoded = decode_entry(bytes_of(bytes));
  ASSERT_TRUE(decoded);
  auto directory = std::get<DirectoryNode>(decoded->node);
  EXPECT_EQ(directory.size, 346u);
  EXPECT_EQ(directory.digest.to_hex(),
            "04e1fa51d0d83a7ddac2497ce1a0d3eb3c98b8b3c07734cf73ad43de777f0494");
}

TEST(EntryTest, FaultsOfTheNodeAreNamed) {
  EXPECT_EQ(decode_error(""), "No entry set");
  EXPECT_NE(decode_error("0a0412020042").find("invalid digest length: 2"), std::string::npos);
  EXPECT_NE(decode_error("1200").find("invalid digest length: 0"), std::string::npos);
  EXPECT_NE(decode_error("1a00").find("Invalid symlink target: cannot be empty"),
            std::string::npos);
  EXPECT_NE(decode_error("1a03120100").find("cannot contain null bytes"), std::string::npos);
}

TEST(EntryTest, OnlyTheCanonicalEncodingIsAccepted) {
  const std::string digest = fmt::format("1220{}", kHelloHex);
  EXPECT_EQ(decode_error(fmt::format("1224{}180c", digest)), "(accepted)");
  for (const std::string& hex : {
           fmt::format("1226{}180c2000", digest),  // an explicit default
           fmt::format("1224{}1800", digest),      // another
           fmt::format("1225{}188c00", digest),    // a varint longer than need be
           fmt::format("12a400{}180c", digest),    // the same in the length
           fmt::format("1226{}180c2002", digest),  // a bool that is neither 0 nor 1
           fmt::format("1226{}180c2801", digest),  // an unknown field
           fmt::format("1226180c{}2001", digest),  // fields out of order
           fmt::format("1226{}180c180c", digest),  // a field twice
           fmt::format("0a26{}180c2001", digest),  // an executable directory
           fmt::format("1224{}180c1200", digest),  // two nodes
           fmt::format("1224{}180c2001", digest),  // bytes after the node
           fmt::format("2224{}180c", digest),      // an unknown kind of node
           fmt::format("1225{}180c", digest),      // cut off
           fmt::format("13{}180c", digest),        // a group
           "1a0412016b1801"s,                      // a symlink with a size
           "1201"s,
       })
    EXPECT_NE(decode_error(hex), "(accepted)") << hex;
}

TEST(NodeTest, KindsHaveNames) {
  EXPECT_EQ(kind_of(DirectoryNode{}), NodeKind::kDirectory);
  EXPECT_EQ(kind_of(FileNode{}), NodeKind::kFile);
  EXPECT_EQ(kind_of(symlink("a")), NodeKind::kSymlink);
  EXPECT_EQ(to_string(NodeKind::kDirectory), "directory");
  EXPECT_EQ(to_string(NodeKind::kFile), "file");
  EXPECT_EQ(to_string(NodeKind::kSymlink), "symlink");
}

}  // namespace
}  // namespace castore
