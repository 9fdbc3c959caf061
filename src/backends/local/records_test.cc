// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/records.h"

#include <gtest/gtest.h>

#include "base/hex.h"
#include "digest/blake3.h"

namespace castore::backends::local {
namespace {

std::string hex(std::string_view bytes) {
  return hex_encode(bytes_of(bytes));
}

nix::PathInfo some_info() {
  return {.store_path = *nix::store_path_of_nar(sha256(bytes_of("nar")), "name"),
          .node = FileNode{blake3("x"), 1, false},
          .references = {},
          .nar_size = 120,
          .nar_sha256 = sha256(bytes_of("nar")),
          .signatures = {},
          .deriver = std::nullopt,
          .content_address = std::nullopt};
}

// These bytes are the format: docs/formats/local-store.md.
TEST(LocalRecords, HaveTheBytesOfFormat1) {
  EXPECT_EQ(hex(encode(ObjectRecord{12, 1, 0})), "0c0100");
  EXPECT_EQ(hex(encode(ObjectRecord{300000, 0, 0})), "e0a7120000");
  EXPECT_EQ(hex(encode(ObjectRecord{262144, 9, 1 << 30})),
            "80801009"
            "8080808004");
  EXPECT_EQ(hex(pack_key(1)), "0000000000000001");
  EXPECT_EQ(hex(encode_pack_end(bytes_of(pack_key(1)), 12)),
            "0c00000000000000"
            "baf79f0624c73c11");
  store::SourceStamp stamp{7, 0x801, 42, 12, 1'000'000'007, 1'000'000'009};
  EXPECT_EQ(hex(source_key(stamp)), "0000000000000801000000000000002a");
  std::string source = encode_source(stamp, blake3("Hello World!"));
  EXPECT_EQ(hex(source),
            "d4d46a6c191297f3a8507ba4cb421a865ca7815adcb484e9a136c11efe69c1d530176d549b5d18d0"
            "38eb5280b4b3470c");
  Node root = FileNode{blake3("Hello World!"), 12, false};
  EXPECT_EQ(hex(nar_key(root)), blake3(encode_entry("", root)).to_hex());
  EXPECT_EQ(hex(encode_nar(bytes_of(nar_key(root)), {120, sha256(bytes_of("nar"))})),
            "7800000000000000c1a3d0ab649821db54ec4dc668c63489ea17738ca1727ed2638a230ede605e3f"
            "070b30410e06cb33");
  EXPECT_EQ(hex(encode_path_info_record(some_info())),
            "e8e9e567068067753d1352589ea640755409c77d3dfc2687213aaf123a95b1f70a4d124b0a256d39"
            "7364627369366d30766c31373761346634796d663439613031386432316a2d6e616d6512203ae7d8"
            "05f6789a6402acb70ad4096a85a56bf6804eaf25c0493ac697548d30b518011a2408781220c1a3d0"
            "ab649821db54ec4dc668c63489ea17738ca1727ed2638a230ede605e3f");
}

TEST(LocalRecords, ObjectRecordsComeBack) {
  for (ObjectRecord record : {ObjectRecord{1, 1, 0}, ObjectRecord{0, 0, 0},
                              ObjectRecord{UINT64_MAX, UINT64_MAX, UINT64_MAX}}) {
    auto decoded = decode_object_record(bytes_of(encode(record)));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->size, record.size);
    EXPECT_EQ(decoded->pack, record.pack);
    EXPECT_EQ(decoded->offset, record.offset);
  }
}

TEST(LocalRecords, ObjectRecordsThatAreCutOffOrTooLongAreRefused) {
  std::string whole = encode(ObjectRecord{300, 1, 70000});
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(decode_object_record(bytes_of(whole.substr(0, length)))) << length;
  EXPECT_FALSE(decode_object_record(bytes_of(whole + '\0')));
}

TEST(LocalRecords, AnyFlippedBitOfASourceRecordIsNoticed) {
  store::SourceStamp stamp{1, 2, 3, 4, 5, 6};
  const std::string whole = encode_source(stamp, blake3("x"));
  ASSERT_TRUE(decode_source(stamp, bytes_of(whole)));
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_source(stamp, bytes_of(damaged))) << bit;
  }
}

TEST(LocalRecords, AnyFlippedBitOfAPackRecordIsNoticed) {
  const std::string key = pack_key(3);
  const std::string whole = encode_pack_end(bytes_of(key), 70000);
  ASSERT_EQ(decode_pack_end(bytes_of(key), bytes_of(whole)), 70000u);
  for (size_t bit = 0; bit < (key.size() + whole.size()) * 8; ++bit) {
    std::string damaged = key + whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ByteView view = bytes_of(damaged);
    EXPECT_FALSE(decode_pack_end(view.first(key.size()), view.subspan(key.size()))) << bit;
  }
}

TEST(LocalRecords, AnyFlippedBitOfANarRecordIsNoticed) {
  std::string key = nar_key(FileNode{blake3("x"), 1, false});
  const std::string whole = encode_nar(bytes_of(key), {120, sha256(bytes_of("nar"))});
  ASSERT_TRUE(decode_nar(bytes_of(key), bytes_of(whole)));
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_nar(bytes_of(key), bytes_of(damaged))) << bit;
  }
}

TEST(LocalRecords, AnyFlippedBitOfAPathRecordIsNoticed) {
  const nix::PathInfo info = some_info();
  const nix::StorePathDigest key = info.store_path.digest();
  const std::string whole = encode_path_info_record(info);
  ASSERT_EQ(*decode_path_info_record(key, bytes_of(whole)), info);
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    auto decoded = decode_path_info_record(key, bytes_of(damaged));
    ASSERT_FALSE(decoded) << bit;
    EXPECT_EQ(decoded.error().kind(), ErrorKind::kCorrupt);
  }
  EXPECT_FALSE(decode_path_info_record(nix::StorePathDigest(), bytes_of(whole)))
      << "found under another key";
}

}  // namespace
}  // namespace castore::backends::local
