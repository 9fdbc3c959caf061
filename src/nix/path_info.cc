// SPDX-License-Identifier: MIT OR Apache-2.0
#include "nix/path_info.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "model/name.h"
#include "model/wire.h"

namespace castore::nix {
namespace {

// Field numbers.
namespace path_info {
constexpr uint32_t kEntry = 1;
constexpr uint32_t kReferences = 2;
constexpr uint32_t kNarInfo = 3;
}  // namespace path_info
namespace nar_info {
constexpr uint32_t kNarSize = 1;
constexpr uint32_t kNarSha256 = 2;
constexpr uint32_t kSignatures = 3;
constexpr uint32_t kReferenceNames = 4;
constexpr uint32_t kDeriver = 5;
constexpr uint32_t kContentAddress = 6;
}  // namespace nar_info
namespace signature {
constexpr uint32_t kName = 1;
constexpr uint32_t kData = 2;
}  // namespace signature
namespace deriver {
constexpr uint32_t kName = 1;
constexpr uint32_t kDigest = 2;
}  // namespace deriver
namespace content_address {
constexpr uint32_t kKind = 1;
constexpr uint32_t kDigest = 2;
}  // namespace content_address

struct AlgorithmOfKind {
  std::string_view name;  // in messages
  size_t digest_bytes;
};

// By the number of the kind.
constexpr AlgorithmOfKind kAlgorithms[] = {
    {"NarSha256", 32}, {"NarSha1", 20}, {"NarSha512", 64},  {"NarMd5", 16},     {"TextSha256", 32},
    {"FlatSha1", 20},  {"FlatMd5", 16}, {"FlatSha256", 32}, {"FlatSha512", 64},
};

// The messages as they came, nothing checked. Views into the bytes.
struct RawSignature {
  std::string_view name;
  ByteView data;
};

struct RawDeriver {
  std::string_view name;
  ByteView digest;
};

struct RawContentAddress {
  uint64_t kind = 0;
  ByteView digest;
};

struct RawNarInfo {
  uint64_t nar_size = 0;
  ByteView nar_sha256;
  std::vector<RawSignature> signatures;
  std::vector<std::string_view> reference_names;
  std::optional<RawDeriver> deriver;
  std::optional<RawContentAddress> content_address;
};

struct RawPathInfo {
  std::optional<ByteView> entry;
  std::vector<ByteView> references;
  std::optional<RawNarInfo> nar_info;
};

// Walks the fields of a message; `take` keeps those it knows and says whether what is nested
// in them can be read. Lenient: what a canonical encoder would not write is found by encoding
// again.
template <typename Take>
bool read_fields(ByteView message, Take take) {
  wire::Reader reader(message);
  while (!reader.done()) {
    auto field = reader.next();
    if (!field || !take(*field)) return false;
  }
  return true;
}

// Protocol Buffers refuse a message with a `string` that is not UTF-8.
bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    auto first = static_cast<unsigned char>(text[0]);
    size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || text.size() < length) return false;
    uint32_t code_point = length == 1 ? first : first & (0x7fu >> length);
    for (char c : text.substr(1, length - 1)) {
      if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) return false;
      code_point = code_point << 6 | (static_cast<unsigned char>(c) & 0x3fu);
    }
    bool overlong = (length == 3 && code_point < 0x800) || (length == 4 && code_point < 0x10000);
    bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
    if (overlong || surrogate || code_point > 0x10ffff) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool has(const wire::Field& field, uint32_t number, uint32_t type) {
  return field.number == number && field.type == type;
}

bool read(ByteView message, RawSignature& out) {
  return read_fields(message, [&](const wire::Field& field) {
    if (has(field, signature::kData, wire::kLengthDelimited)) out.data = field.bytes;
    if (!has(field, signature::kName, wire::kLengthDelimited)) return true;
    out.name = text_of(field.bytes);
    return is_utf8(out.name);
  });
}

bool read(ByteView message, RawDeriver& out) {
  return read_fields(message, [&](const wire::Field& field) {
    if (has(field, deriver::kName, wire::kLengthDelimited)) out.name = text_of(field.bytes);
    if (has(field, deriver::kDigest, wire::kLengthDelimited)) out.digest = field.bytes;
    return true;
  });
}

bool read(ByteView message, RawContentAddress& out) {
  return read_fields(message, [&](const wire::Field& field) {
    if (has(field, content_address::kKind, wire::kVarint)) out.kind = field.value;
    if (has(field, content_address::kDigest, wire::kLengthDelimited)) out.digest = field.bytes;
    return true;
  });
}

bool read(ByteView message, RawNarInfo& out) {
  return read_fields(message, [&](const wire::Field& field) {
    if (has(field, nar_info::kNarSize, wire::kVarint)) out.nar_size = field.value;
    if (field.type != wire::kLengthDelimited) return true;
    switch (field.number) {
      case nar_info::kNarSha256:
        out.nar_sha256 = field.bytes;
        return true;
      case nar_info::kSignatures:
        return read(field.bytes, out.signatures.emplace_back());
      case nar_info::kReferenceNames:
        out.reference_names.push_back(text_of(field.bytes));
        return true;
      case nar_info::kDeriver:
        return read(field.bytes, out.deriver.emplace());
      case nar_info::kContentAddress:
        return read(field.bytes, out.content_address.emplace());
      default:
        return true;
    }
  });
}

bool read(ByteView message, RawPathInfo& out) {
  return read_fields(message, [&](const wire::Field& field) {
    if (field.type != wire::kLengthDelimited) return true;
    switch (field.number) {
      case path_info::kEntry:
        out.entry = field.bytes;
        return true;
      case path_info::kReferences:
        out.references.push_back(field.bytes);
        return true;
      case path_info::kNarInfo:
        return read(field.bytes, out.nar_info.emplace());
      default:
        return true;
    }
  });
}

Result<std::vector<StorePath>> check_references(const RawPathInfo& raw) {
  const auto& digests = raw.references;
  const auto& names = raw.nar_info->reference_names;
  for (size_t i = 0; i < digests.size(); ++i)
    if (digests[i].size() != StorePathDigest::kBytes)
      return fail(ErrorKind::kCorrupt,
                  "InvalidReferenceDigestLen: the digest of reference {} has {} bytes", i,
                  digests[i].size());
  if (names.size() != digests.size())
    return fail(ErrorKind::kCorrupt,
                "InconsistentNumberOfReferences: {} references, but {} reference names",
                digests.size(), names.size());
  std::vector<StorePath> references;
  references.reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    auto path = StorePath::parse(names[i]);
    if (!path)
      return fail(ErrorKind::kCorrupt, "InvalidNarinfoReferenceName: reference {}: {}", i,
                  path.error().message());
    if (!std::ranges::equal(path->digest().bytes(), digests[i]))
      return fail(ErrorKind::kCorrupt,
                  "InconsistentNarinfoReferenceNameDigest: reference {} is named {}, which has "
                  "another digest",
                  i, path->base_name());
    references.push_back(std::move(*path));
  }
  return references;
}

Result<std::pair<StorePath, Node>> check_entry(const RawPathInfo& raw) {
  if (!raw.entry) return fail(ErrorKind::kCorrupt, "NoEntryPresent: there is no root node");
  NamedNode entry = CASTORE_TRY_WHILE(decode_entry(*raw.entry), "InvalidRootNode");
  if (auto fault = check_name(entry.name))
    return fail(ErrorKind::kCorrupt, "InvalidRootNode: Invalid name: {}", describe(*fault));
  auto path = StorePath::parse(entry.name);
  if (!path) return fail(ErrorKind::kCorrupt, "InvalidNodeName: {}", path.error().message());
  return std::pair(std::move(*path), std::move(entry.node));
}

Result<StorePath> check_deriver(const RawDeriver& raw) {
  auto digest = StorePathDigest::from_bytes(raw.digest);
  if (!digest)
    return fail(ErrorKind::kCorrupt, "InvalidDeriverField: {}", digest.error().message());
  auto path = StorePath::make(*digest, std::string(raw.name));
  if (!path) return fail(ErrorKind::kCorrupt, "InvalidDeriverField: {}", path.error().message());
  return *path;
}

Result<ContentAddress> check_content_address(const RawContentAddress& raw) {
  if (raw.kind >= std::size(kAlgorithms))
    return fail(ErrorKind::kCorrupt, "InvalidCaField: UnknownHashType: {}", raw.kind);
  const AlgorithmOfKind& algorithm = kAlgorithms[raw.kind];
  if (raw.digest.size() != algorithm.digest_bytes)
    return fail(ErrorKind::kCorrupt,
                "InvalidCaField: InvalidReferenceDigestLen: the digest of {} has {} bytes",
                algorithm.name, raw.digest.size());
  return ContentAddress{static_cast<ContentAddress::Kind>(raw.kind),
                        {raw.digest.begin(), raw.digest.end()}};
}

// In the order in which the format's errors go before each other.
Result<PathInfo> check(const RawPathInfo& raw) {
  if (!raw.nar_info) return fail(ErrorKind::kCorrupt, "NarInfoFieldMissing: there is no narinfo");
  const RawNarInfo& nar_info = *raw.nar_info;
  std::vector<StorePath> references = CASTORE_TRY(check_references(raw));
  auto [store_path, node] = CASTORE_TRY(check_entry(raw));
  PathInfo info{.store_path = std::move(store_path),
                .node = std::move(node),
                .references = std::move(references),
                .nar_size = nar_info.nar_size};
  if (nar_info.nar_sha256.size() != info.nar_sha256.size())
    return fail(ErrorKind::kCorrupt, "InvalidNarSha256DigestLen: the NAR's hash has {} bytes",
                nar_info.nar_sha256.size());
  std::ranges::copy(nar_info.nar_sha256, info.nar_sha256.begin());
  if (nar_info.deriver) info.deriver = CASTORE_TRY(check_deriver(*nar_info.deriver));
  for (size_t i = 0; i < nar_info.signatures.size(); ++i) {
    const RawSignature& signature = nar_info.signatures[i];
    if (signature.data.size() != Signature::kBytes)
      return fail(ErrorKind::kCorrupt, "InvalidSignature: signature {} has {} bytes", i,
                  signature.data.size());
    Signature& checked = info.signatures.emplace_back();
    checked.name = signature.name;
    std::ranges::copy(signature.data, checked.data.begin());
  }
  if (nar_info.content_address)
    info.content_address = CASTORE_TRY(check_content_address(*nar_info.content_address));
  return info;
}

std::string encode_nar_info(const PathInfo& info) {
  std::string out;
  wire::append_varint_field(out, nar_info::kNarSize, info.nar_size);
  wire::append_bytes_field(out, nar_info::kNarSha256, text_of(info.nar_sha256));
  for (const Signature& entry : info.signatures) {
    std::string message;
    wire::append_bytes_field(message, signature::kName, entry.name);
    wire::append_bytes_field(message, signature::kData, text_of(entry.data));
    wire::append_message_field(out, nar_info::kSignatures, message);
  }
  for (const StorePath& reference : info.references)
    wire::append_message_field(out, nar_info::kReferenceNames, reference.base_name());
  if (info.deriver) {
    std::string message;
    wire::append_bytes_field(message, deriver::kName, info.deriver->name());
    wire::append_bytes_field(message, deriver::kDigest, text_of(info.deriver->digest().bytes()));
    wire::append_message_field(out, nar_info::kDeriver, message);
  }
  if (info.content_address) {
    std::string message;
    wire::append_varint_field(message, content_address::kKind,
                              static_cast<uint64_t>(info.content_address->kind));
    wire::append_bytes_field(message, content_address::kDigest,
                             text_of(info.content_address->digest));
    wire::append_message_field(out, nar_info::kContentAddress, message);
  }
  return out;
}

}  // namespace

std::string encode_path_info(const PathInfo& info) {
  std::string out;
  wire::append_message_field(out, path_info::kEntry,
                             encode_entry(info.store_path.base_name(), info.node));
  for (const StorePath& reference : info.references)
    wire::append_message_field(out, path_info::kReferences, text_of(reference.digest().bytes()));
  wire::append_message_field(out, path_info::kNarInfo, encode_nar_info(info));
  return out;
}

Result<PathInfo> decode_path_info(ByteView bytes) {
  RawPathInfo raw;
  if (!read(bytes, raw)) return fail(ErrorKind::kCorrupt, "the bytes are not a PathInfo message");
  PathInfo info = CASTORE_TRY(check(raw));
  if (encode_path_info(info) != text_of(bytes))
    return fail(ErrorKind::kCorrupt, "the bytes are not the canonical encoding of the PathInfo");
  return info;
}

}  // namespace castore::nix
