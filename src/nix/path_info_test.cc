// SPDX-License-Identifier: MIT OR Apache-2.0
#include "nix/path_info.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/hex.h"
#include "base/varint.h"

namespace castore::nix {
namespace {

using namespace std::string_literals;

const std::string kPath = std::string(32, '0') + "-dummy";
const std::string kOtherPath = "00bgd045z0d4icpbc2yyz4gx48ak44la-net-tools";

// The messages are written by hand here, without the encoder.
std::string varint(uint64_t value) {
  std::string out;
  append_varint(out, value);
  return out;
}
std::string field(int number, const std::string& bytes) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string number_field(int number, uint64_t value) {
  return varint(static_cast<uint64_t>(number) << 3) + varint(value);
}

// One PathInfo message in parts, each of which a test may replace.
struct Message {
  std::string entry = field(1, field(1, field(1, kPath) + field(2, std::string(32, '\0'))));
  std::string references{};
  std::string nar_size = number_field(1, 136);
  std::string nar_sha256 = field(2, std::string(32, 'h'));
  std::string signatures{};
  std::string reference_names{};
  std::string deriver{};
  std::string content_address{};
  std::string rest{};

  std::string nar_info() const {
    return nar_size + nar_sha256 + signatures + reference_names + deriver + content_address;
  }
  std::string bytes() const { return entry + references + field(3, nar_info()) + rest; }
};

std::string decode_error(const std::string& bytes) {
  auto info = decode_path_info(bytes_of(bytes));
  if (info) return "(accepted)";
  EXPECT_EQ(info.error().kind(), ErrorKind::kCorrupt);
  return info.error().message();
}

void expect_refused(const std::string& bytes, std::string_view part) {
  std::string message = decode_error(bytes);
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

void expect_round_trip(const PathInfo& info) {
  std::string bytes = encode_path_info(info);
  auto decoded = decode_path_info(bytes_of(bytes));
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(*decoded, info);
}

PathInfo symlink_info() {
  PathInfo info{.store_path = *StorePath::parse(kPath),
                .node = SymlinkNode{*SymlinkTarget::parse("/nix/store/somewhereelse")},
                .nar_size = 136};
  std::ranges::copy(*hex_decode("097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1"),
                    info.nar_sha256.begin());
  return info;
}

TEST(PathInfoTest, EncodesASymlinkAsPeersDo) {
  EXPECT_EQ(hex_encode(bytes_of(encode_path_info(symlink_info()))),
            "0a441a420a2630303030303030303030303030303030303030303030303030303030303030302d64756d6d"
            "7912182f6e69782f73746f72652f736f6d657768657265656c73651a250888011220097d397e9b5826384e"
            "aa16c457715d1c1a51670313ead0f58566e0b232539cf1");
  expect_round_trip(symlink_info());
}

TEST(PathInfoTest, EncodesReferencesAndContentAddressAsPeersDo) {
  PathInfo info{.store_path = *StorePath::parse(kPath),
                .node = DirectoryNode{},
                .references = {*StorePath::parse(kPath)}};
  info.content_address =
      ContentAddress{ContentAddress::Kind::kNarSha256, std::vector<std::byte>(32)};
  std::string bytes = encode_path_info(info);
  const std::string zeros(32, '\0');
  EXPECT_EQ(bytes, "\x0a\x4c\x0a\x4a\x0a\x26" + kPath + "\x12\x20" + zeros + "\x12\x14" +
                       zeros.substr(0, 20) + "\x1a\x6e\x12\x20" + zeros + "\x22\x26" + kPath +
                       "\x32\x22" + "\x12\x20" + zeros);
  EXPECT_EQ(bytes.size(), 212u);
  expect_round_trip(info);
}

TEST(PathInfoTest, EveryFieldSurvivesARoundTrip) {
  PathInfo info = symlink_info();
  info.node = FileNode{Digest(), 12, true};
  info.references = {*StorePath::parse(kOtherPath), *StorePath::parse(kPath)};
  info.signatures.resize(2);
  info.signatures[0].name = "cache.example-1";
  info.signatures[0].data.fill(std::byte{7});
  info.signatures[1].name = "t\xc3\xa4st";
  info.deriver = *StorePath::parse(kOtherPath + ".drv");
  expect_round_trip(info);
  struct Case {
    ContentAddress::Kind kind;
    size_t bytes;
  };
  using enum ContentAddress::Kind;
  for (const Case& c : {Case{kNarSha256, 32}, Case{kNarSha1, 20}, Case{kNarSha512, 64},
                        Case{kNarMd5, 16}, Case{kTextSha256, 32}, Case{kFlatSha1, 20},
                        Case{kFlatMd5, 16}, Case{kFlatSha256, 32}, Case{kFlatSha512, 64}}) {
    info.content_address = ContentAddress{c.kind, std::vector<std::byte>(c.bytes, std::byte{1})};
    expect_round_trip(info);
  }
}

TEST(PathInfoDecodeTest, TheMessageOfTheseTestsIsValid) {
  EXPECT_EQ(decode_error(Message{}.bytes()), "(accepted)");
}

TEST(PathInfoDecodeTest, EachFaultHasItsName) {
  expect_refused(Message{}.entry, "NarInfoFieldMissing");
  expect_refused("", "NarInfoFieldMissing");
  {
    Message m{.references = field(2, std::string(20, '\0')) + field(2, std::string(19, '\0'))};
    expect_refused(m.bytes(), "InvalidReferenceDigestLen: the digest of reference 1 has 19 bytes");
  }
  expect_refused(Message{.references = field(2, std::string(20, '\0'))}.bytes(),
                 "InconsistentNumberOfReferences: 1 references, but 0 reference names");
  expect_refused(Message{.reference_names = field(4, kPath)}.bytes(),
                 "InconsistentNumberOfReferences: 0 references, but 1 reference names");
  {
    Message m{.references = field(2, std::string(20, '\0')), .reference_names = field(4, "x")};
    expect_refused(m.bytes(), "InvalidNarinfoReferenceName: reference 0: 'x'");
  }
  {
    Message m{.references = field(2, std::string(20, '\0')),
              .reference_names = field(4, kOtherPath)};
    expect_refused(m.bytes(),
                   "InconsistentNarinfoReferenceNameDigest: reference 0 is named " + kOtherPath);
  }
  expect_refused(Message{.entry = ""}.bytes(), "NoEntryPresent");
  expect_refused(Message{.entry = field(1, "")}.bytes(), "InvalidRootNode: No entry set");
  expect_refused(Message{.entry = field(1, field(1, field(1, kPath) + field(2, "xx")))}.bytes(),
                 "InvalidRootNode: invalid node");
  expect_refused(Message{.entry = field(1, field(1, field(2, std::string(32, 'x'))))}.bytes(),
                 "InvalidRootNode: Invalid name: cannot be empty");
  expect_refused(
      Message{.entry = field(1, field(1, field(1, "..") + field(2, std::string(32, 'x'))))}.bytes(),
      "InvalidRootNode: Invalid name: cannot be '..'");
  expect_refused(
      Message{.entry = field(1, field(1, field(1, "foo") + field(2, std::string(32, 'x'))))}
          .bytes(),
      "InvalidNodeName: 'foo' is not a store path");
  expect_refused(Message{.nar_sha256 = field(2, std::string(31, 'x'))}.bytes(),
                 "InvalidNarSha256DigestLen: the NAR's hash has 31 bytes");
  expect_refused(Message{.nar_sha256 = ""}.bytes(),
                 "InvalidNarSha256DigestLen: the NAR's hash has 0 bytes");
  expect_refused(Message{.deriver = field(5, "")}.bytes(), "InvalidDeriverField");
  expect_refused(
      Message{.deriver = field(5, field(1, "a/b") + field(2, std::string(20, 'x')))}.bytes(),
      "InvalidDeriverField");
  expect_refused(
      Message{.deriver = field(5, field(1, "ab") + field(2, std::string(19, 'x')))}.bytes(),
      "InvalidDeriverField");
  const std::string whole_signature = field(3, field(1, "k") + field(2, std::string(64, 's')));
  expect_refused(Message{.signatures = whole_signature +
                                       field(3, field(1, "k") + field(2, std::string(63, 's')))}
                     .bytes(),
                 "InvalidSignature: signature 1 has 63 bytes");
  expect_refused(
      Message{.content_address = field(6, number_field(1, 9) + field(2, std::string(32, 'x')))}
          .bytes(),
      "InvalidCaField: UnknownHashType: 9");
  expect_refused(Message{.content_address = field(6, field(2, std::string(31, 'x')))}.bytes(),
                 "InvalidCaField: InvalidReferenceDigestLen: the digest of NarSha256 has 31 bytes");
  expect_refused(
      Message{.content_address = field(6, number_field(1, 6) + field(2, std::string(32, 'x')))}
          .bytes(),
      "InvalidCaField: InvalidReferenceDigestLen: the digest of FlatMd5 has 32 bytes");
}

// Starts with every fault at once and repairs them in the order of the format.
TEST(PathInfoDecodeTest, TheFaultThatTheFormatPutsFirstIsNamed) {
  Message m{.entry = "",
            .references = field(2, "x") + field(2, std::string(20, '\0')),
            .nar_sha256 = "",
            .signatures = field(3, ""),
            .reference_names = field(4, "x"),
            .deriver = field(5, ""),
            .content_address = field(6, number_field(1, 9)),
            .rest = number_field(9, 1)};
  expect_refused(m.references + m.rest, "NarInfoFieldMissing");
  expect_refused(m.bytes(), "InvalidReferenceDigestLen: the digest of reference 0");
  m.references = field(2, std::string(20, '\0')) + field(2, std::string(20, '\0'));
  expect_refused(m.bytes(), "InconsistentNumberOfReferences");
  m.reference_names = field(4, kOtherPath) + field(4, "x");
  expect_refused(m.bytes(), "InconsistentNarinfoReferenceNameDigest: reference 0");
  m.reference_names = field(4, kPath) + field(4, "x");
  expect_refused(m.bytes(), "InvalidNarinfoReferenceName: reference 1");
  m.reference_names = field(4, kPath) + field(4, kPath);
  expect_refused(m.bytes(), "NoEntryPresent");
  m.entry = field(1, field(1, field(1, "..") + field(2, "x")));
  expect_refused(m.bytes(), "InvalidRootNode: invalid node");
  m.entry = field(1, field(1, field(1, "foo") + field(2, std::string(32, '\0'))));
  expect_refused(m.bytes(), "InvalidNodeName");
  m.entry = Message{}.entry;
  expect_refused(m.bytes(), "InvalidNarSha256DigestLen");
  m.nar_sha256 = Message{}.nar_sha256;
  expect_refused(m.bytes(), "InvalidDeriverField");
  m.deriver = field(5, field(1, "d") + field(2, std::string(20, 'd')));
  expect_refused(m.bytes(), "InvalidSignature: signature 0 has 0 bytes");
  m.signatures = field(3, field(2, std::string(64, 's')));
  expect_refused(m.bytes(), "InvalidCaField: UnknownHashType: 9");
  m.content_address = field(6, number_field(1, 8) + field(2, std::string(64, 'c')));
  expect_refused(m.bytes(), "not the canonical encoding");
  m.rest = "";
  EXPECT_EQ(decode_error(m.bytes()), "(accepted)");
}

TEST(PathInfoDecodeTest, OnlyTheCanonicalEncodingIsAccepted) {
  const Message m;
  const std::string nar_info = field(3, m.nar_info());
  for (const std::string& bytes : {
           nar_info + m.entry,                                          // out of order
           m.entry + m.entry + nar_info,                                // twice
           m.entry + nar_info + nar_info,                               //
           m.entry + nar_info + number_field(4, 1),                     // unknown
           m.entry + nar_info + number_field(1, 1),                     // of another type
           Message{.nar_size = number_field(1, 0)}.bytes(),             // explicit default
           Message{.nar_size = "\x08\x88\x81\x00"s}.bytes(),            // a long varint
           Message{.nar_sha256 = m.nar_sha256 + m.nar_sha256}.bytes(),  // twice
           m.entry + "\x1a" + varint(m.nar_info().size() + 2) + m.nar_info() + number_field(7, 1),
           Message{.content_address = field(6, number_field(1, 0) + field(2, std::string(32, 'x')))}
               .bytes(),  // explicit default
           Message{.signatures = field(3, field(1, "") + field(2, std::string(64, 'x')))}.bytes(),
       })
    expect_refused(bytes, "not the canonical encoding");
  // The entry has a canonical form of its own.
  expect_refused(
      Message{.entry = field(1, field(1, field(2, std::string(32, '\0')) + field(1, kPath)))}
          .bytes(),
      "InvalidRootNode: the entry message is not in canonical form");
}

TEST(PathInfoDecodeTest, BytesThatAreNoMessageAreRefused) {
  const std::string whole =
      Message{.deriver = field(5, field(1, "d") + field(2, std::string(20, 'd')))}.bytes();
  ASSERT_EQ(decode_error(whole), "(accepted)");
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE(decode_error(whole.substr(0, length)), "(accepted)") << length;
  expect_refused("\x0a", "not a PathInfo message");
  expect_refused("\xff\xff\xff", "not a PathInfo message");
  expect_refused(Message{.deriver = field(5, "\x0a\x05")}.bytes(), "not a PathInfo message");
}

TEST(PathInfoDecodeTest, ASignaturesNameIsUtf8) {
  auto with_name = [](const std::string& name) {
    return decode_error(
        Message{.signatures = field(3, field(1, name) + field(2, std::string(64, 's')))}.bytes());
  };
  for (const std::string& name :
       {"k"s, "\x7f"s, "\xc2\x80"s, "\xdf\xbf"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s, "\xee\x80\x80"s,
        "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s, "a\xe2\x82\xacz"s})
    EXPECT_EQ(with_name(name), "(accepted)") << hex_encode(bytes_of(name));
  for (const std::string& name :
       {"\x80"s, "\xc0\x80"s, "\xc1\xbf"s, "\xc2"s, "\xc2z"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s,
        "\xe2\x82"s, "\xe2\x82z"s, "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s,
        "\xff"s, "ok\xfe"s})
    EXPECT_EQ(with_name(name), "the bytes are not a PathInfo message")
        << hex_encode(bytes_of(name));
}

}  // namespace
}  // namespace castore::nix
