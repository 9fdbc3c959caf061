// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "digest/digest.h"
#include "model/node.h"
#include "nix/path_info.h"
#include "store/import_cache.h"

// Keys and values of the database's tables: docs/formats/local-store.md. Decoders give nothing for
// bytes that are not a record of the kind.
namespace castore::backends::local {

// Where a blob or directory is. Tables kBlobs and kDirectories: digest -> record.
struct ObjectRecord {
  uint64_t size = 0;
  uint64_t pack = 0;    // number of the pack that holds it; 0: it has a file of its own
  uint64_t offset = 0;  // in the pack
};
std::string encode(const ObjectRecord& record);
std::optional<ObjectRecord> decode_object_record(ByteView value);

// How much of a pack is in use. Table::kPacks: pack number, big-endian -> bytes, with a checksum.
std::string pack_key(uint64_t pack);
std::optional<uint64_t> decode_pack_key(ByteView key);
std::string encode_pack_end(ByteView key, uint64_t bytes);
std::optional<uint64_t> decode_pack_end(ByteView key, ByteView record);

// Table::kPathInfos: store path digest -> checksum over key and message, then the message.
std::string encode_path_info_record(const nix::PathInfo& info);
Result<nix::PathInfo> decode_path_info_record(const nix::StorePathDigest& key, ByteView value);

// Table::kSources: device and inode, big-endian -> a tag over the whole stamp and the digest, then
// the digest.
std::string source_key(const store::SourceStamp& stamp);
std::string encode_source(const store::SourceStamp& stamp, const Digest& digest);
// The digest, when the record is whole and was made for `stamp`.
std::optional<Digest> decode_source(const store::SourceStamp& stamp, ByteView value);

// Table::kNars: BLAKE3 of the root's entry message -> size and hash, with a checksum.
std::string nar_key(const Node& root);
std::string encode_nar(ByteView key, const store::NarSummary& summary);
std::optional<store::NarSummary> decode_nar(ByteView key, ByteView value);

}  // namespace castore::backends::local
