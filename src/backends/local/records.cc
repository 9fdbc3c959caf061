// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/records.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/varint.h"
#include "digest/blake3.h"

namespace castore::backends::local {
namespace {

static_assert(std::endian::native == std::endian::little, "records are little-endian");

constexpr size_t kShortChecksumBytes = 8;
constexpr size_t kSourceTagBytes = 16;

void append_number(std::string& out, uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Keys are big-endian so that the database keeps neighbours together.
void append_big_endian(std::string& out, uint64_t value) {
  append_number(out, std::byteswap(value));
}

uint64_t number_at(ByteView bytes, size_t offset) {
  uint64_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Over key and value, so that a record found under another key is refused as well.
Digest checksum(ByteView key, ByteView value) {
  Blake3Hasher hasher;
  hasher.update(key);
  hasher.update(value);
  return hasher.finish();
}

// Ties a remembered digest to the stamp it was remembered for.
std::string source_tag(const store::SourceStamp& stamp, const Digest& digest) {
  std::string facts = source_key(stamp);
  append_number(facts, stamp.filesystem);
  append_number(facts, stamp.size);
  append_number(facts, static_cast<uint64_t>(stamp.mtime_ns));
  append_number(facts, static_cast<uint64_t>(stamp.ctime_ns));
  return std::string(checksum(bytes_of(facts), digest.bytes()).raw().substr(0, kSourceTagBytes));
}

std::string with_checksum(ByteView key, std::string value) {
  Digest sum = checksum(key, bytes_of(value));
  value.append(sum.raw().substr(0, kShortChecksumBytes));
  return value;
}

// The value without its checksum, when it has `length` bytes and the checksum is right.
std::optional<ByteView> checked_value(ByteView key, ByteView record, size_t length) {
  if (record.size() != length + kShortChecksumBytes) return std::nullopt;
  ByteView value = record.first(length);
  if (checksum(key, value).raw().substr(0, kShortChecksumBytes) != text_of(record.subspan(length)))
    return std::nullopt;
  return value;
}

}  // namespace

std::string encode(const ObjectRecord& record) {
  std::string out;
  append_varint(out, record.size);
  append_varint(out, record.pack);
  append_varint(out, record.offset);
  return out;
}

std::optional<ObjectRecord> decode_object_record(ByteView value) {
  auto size = take_minimal_varint(value);
  if (!size) return std::nullopt;
  auto pack = take_minimal_varint(value);
  if (!pack) return std::nullopt;
  auto offset = take_minimal_varint(value);
  if (!offset || !value.empty()) return std::nullopt;
  return ObjectRecord{*size, *pack, *offset};
}

std::string pack_key(uint64_t pack) {
  std::string key;
  append_big_endian(key, pack);
  return key;
}

std::optional<uint64_t> decode_pack_key(ByteView key) {
  if (key.size() != 8) return std::nullopt;
  return std::byteswap(number_at(key, 0));
}

std::string encode_pack_end(ByteView key, uint64_t bytes) {
  std::string value;
  append_number(value, bytes);
  return with_checksum(key, std::move(value));
}

std::optional<uint64_t> decode_pack_end(ByteView key, ByteView record) {
  auto value = checked_value(key, record, 8);
  if (!value) return std::nullopt;
  return number_at(*value, 0);
}

std::string encode_path_info_record(const nix::PathInfo& info) {
  std::string message = nix::encode_path_info(info);
  Digest sum = checksum(info.store_path.digest().bytes(), bytes_of(message));
  return std::string(sum.raw()) + message;
}

Result<nix::PathInfo> decode_path_info_record(const nix::StorePathDigest& key, ByteView value) {
  if (value.size() < Digest::kBytes || checksum(key.bytes(), value.subspan(Digest::kBytes)).raw() !=
                                           text_of(value.first(Digest::kBytes)))
    return fail(ErrorKind::kCorrupt, "path {}: its record does not match its checksum",
                key.to_text());
  auto info = CASTORE_TRY_WHILE(nix::decode_path_info(value.subspan(Digest::kBytes)),
                                "reading the record of path {}", key.to_text());
  if (info.store_path.digest() != key)
    return fail(ErrorKind::kCorrupt, "path {}: its record is that of {}", key.to_text(),
                info.store_path.absolute());
  return info;
}

std::string source_key(const store::SourceStamp& stamp) {
  std::string key;
  append_big_endian(key, stamp.device);
  append_big_endian(key, stamp.inode);
  return key;
}

std::string encode_source(const store::SourceStamp& stamp, const Digest& digest) {
  return source_tag(stamp, digest).append(digest.raw());
}

std::optional<Digest> decode_source(const store::SourceStamp& stamp, ByteView value) {
  if (value.size() != kSourceTagBytes + Digest::kBytes) return std::nullopt;
  Digest digest = *Digest::from_bytes(value.subspan(kSourceTagBytes));
  if (source_tag(stamp, digest) != text_of(value.first(kSourceTagBytes))) return std::nullopt;
  return digest;
}

std::string nar_key(const Node& root) {
  return std::string(blake3(encode_entry("", root)).raw());
}

std::string encode_nar(ByteView key, const store::NarSummary& summary) {
  std::string value;
  append_number(value, summary.size);
  value.append(text_of(summary.sha256));
  return with_checksum(key, std::move(value));
}

std::optional<store::NarSummary> decode_nar(ByteView key, ByteView record) {
  auto value = checked_value(key, record, 8 + sizeof(Sha256));
  if (!value) return std::nullopt;
  store::NarSummary summary{number_at(*value, 0), {}};
  std::ranges::copy(value->subspan(8), summary.sha256.begin());
  return summary;
}

}  // namespace castore::backends::local
