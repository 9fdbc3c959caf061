// SPDX-License-Identifier: MIT OR Apache-2.0
#include "nix/store_path.h"

#include <algorithm>
#include <utility>

#include "base/hex.h"
#include "model/name.h"
#include "nix/base32.h"

namespace castore::nix {
namespace {

constexpr size_t kDigestTextBytes = base32_size(StorePathDigest::kBytes);
// The digest, the dash, and a name of one character.
constexpr size_t kBaseNameBytesMin = kDigestTextBytes + 2;

constexpr bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("+-_?=.").find(c) != std::string_view::npos;
}

// Folds any number of bytes into those of a store path.
StorePathDigest compress(ByteView bytes) {
  std::array<std::byte, StorePathDigest::kBytes> folded{};
  for (size_t i = 0; i < bytes.size(); ++i) folded[i % folded.size()] ^= bytes[i];
  return StorePathDigest(folded);
}

// What follows "/nix/store/".
Result<std::string_view> below_store_dir(std::string_view path) {
  std::string_view rest = path;
  if (rest.starts_with(kStoreDir)) {
    rest.remove_prefix(kStoreDir.size());
    if (rest.starts_with('/')) return rest.substr(1);
  }
  return fail(ErrorKind::kInvalidArgument, "'{}' does not begin with {}/", printable(path),
              kStoreDir);
}

}  // namespace

Result<StorePathDigest> StorePathDigest::from_bytes(ByteView bytes) {
  if (bytes.size() != kBytes)
    return fail(ErrorKind::kInvalidArgument, "invalid store path digest length: {}", bytes.size());
  StorePathDigest digest;
  std::ranges::copy(bytes, digest.bytes_.begin());
  return digest;
}

std::string StorePathDigest::to_text() const {
  return base32_encode(bytes_);
}

std::strong_ordering operator<=>(const StorePathDigest& a, const StorePathDigest& b) {
  return std::lexicographical_compare_three_way(a.bytes_.rbegin(), a.bytes_.rend(),
                                                b.bytes_.rbegin(), b.bytes_.rend());
}

Result<void> check_store_path_name(std::string_view name) {
  if (name.empty() || name.size() > kStorePathNameBytesMax)
    return fail(ErrorKind::kInvalidArgument,
                "the name '{}' has {} characters; a store path's name has 1 to {}", printable(name),
                name.size(), kStorePathNameBytesMax);
  auto bad = std::ranges::find_if_not(name, is_name_character);
  if (bad != name.end())
    return fail(ErrorKind::kInvalidArgument,
                "the name '{}' has the character '{}' at position {}; a store path's name may "
                "have letters, digits and + - _ ? = .",
                printable(name), printable({bad, 1}), bad - name.begin());
  return {};
}

Result<StorePath> StorePath::make(const StorePathDigest& digest, std::string name) {
  CASTORE_TRY(check_store_path_name(name));
  return StorePath(digest, std::move(name));
}

Result<StorePath> StorePath::parse(std::string_view base_name) {
  if (base_name.size() < kBaseNameBytesMin)
    return fail(ErrorKind::kInvalidArgument,
                "'{}' is not a store path: it has {} characters, and the shortest has {}",
                printable(base_name), base_name.size(), kBaseNameBytesMin);
  auto digest = base32_decode(base_name.substr(0, kDigestTextBytes));
  if (!digest)
    return fail(ErrorKind::kInvalidArgument,
                "'{}' is not a store path: its first {} characters are not nixbase32",
                printable(base_name), kDigestTextBytes);
  if (base_name[kDigestTextBytes] != '-')
    return fail(ErrorKind::kInvalidArgument,
                "'{}' is not a store path: there is no dash after its digest",
                printable(base_name));
  return CASTORE_TRY_WHILE(make(CASTORE_TRY(StorePathDigest::from_bytes(*digest)),
                                std::string(base_name.substr(kDigestTextBytes + 1))),
                           "'{}' is not a store path", printable(base_name));
}

Result<StorePath> StorePath::parse_absolute(std::string_view path) {
  return parse(CASTORE_TRY(below_store_dir(path)));
}

std::string StorePath::base_name() const {
  return fmt::format("{}-{}", digest_.to_text(), name_);
}

std::string StorePath::absolute() const {
  return fmt::format("{}/{}", kStoreDir, base_name());
}

Result<StorePathAndRest> split_absolute(std::string_view path) {
  std::string_view below = CASTORE_TRY(below_store_dir(path));
  size_t slash = below.find('/');
  StorePath store_path = CASTORE_TRY(StorePath::parse(below.substr(0, slash)));
  std::string_view rest = slash == below.npos ? std::string_view() : below.substr(slash + 1);
  return StorePathAndRest{std::move(store_path), std::string(rest)};
}

Result<StorePath> store_path_of_nar(const Sha256& nar_sha256, std::string_view name,
                                    std::span<const StorePath> references, bool self_reference) {
  CASTORE_TRY(check_store_path_name(name));
  std::string fingerprint = "source";
  for (const StorePath& reference : references) fingerprint += ":" + reference.absolute();
  if (self_reference) fingerprint += ":self";
  fingerprint += fmt::format(":sha256:{}:{}:{}", hex_encode(nar_sha256), kStoreDir, name);
  return StorePath::make(compress(sha256(bytes_of(fingerprint))), std::string(name));
}

}  // namespace castore::nix
