// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "digest/sha256.h"

namespace castore::nix {

inline constexpr std::string_view kStoreDir = "/nix/store";
inline constexpr size_t kStorePathNameBytesMax = 211;

// The 20 bytes at the start of a store path. Ordered as their nixbase32 text is: from the last byte
// to the first.
class StorePathDigest {
 public:
  static constexpr size_t kBytes = 20;

  constexpr StorePathDigest() = default;
  constexpr explicit StorePathDigest(const std::array<std::byte, kBytes>& bytes) : bytes_(bytes) {}
  static Result<StorePathDigest> from_bytes(ByteView bytes);

  ByteView bytes() const { return bytes_; }
  std::string to_text() const;  // 32 characters of nixbase32

  friend bool operator==(const StorePathDigest&, const StorePathDigest&) = default;
  friend std::strong_ordering operator<=>(const StorePathDigest& a, const StorePathDigest& b);

 private:
  std::array<std::byte, kBytes> bytes_{};
};

// "<digest>-<name>", the last component of "/nix/store/<digest>-<name>".
//
//   Always true  the name has 1 to 211 characters out of A-Z a-z 0-9 + - _ ? = .
//   Equality     digest and name. Ordering: by digest only.
class StorePath {
 public:
  static Result<StorePath> make(const StorePathDigest& digest, std::string name);

  // Reads "<digest>-<name>".
  static Result<StorePath> parse(std::string_view base_name);
  // Reads "/nix/store/<digest>-<name>".
  static Result<StorePath> parse_absolute(std::string_view path);

  const StorePathDigest& digest() const { return digest_; }
  const std::string& name() const { return name_; }

  std::string base_name() const;
  std::string absolute() const;

  friend bool operator==(const StorePath&, const StorePath&) = default;

 private:
  StorePath(const StorePathDigest& digest, std::string name)
      : digest_(digest), name_(std::move(name)) {}

  StorePathDigest digest_;
  std::string name_;
};

// Splits "/nix/store/<digest>-<name>/sub/path" into the store path and "sub/path" (or nothing).
struct StorePathAndRest {
  StorePath path;
  std::string rest;
};
Result<StorePathAndRest> split_absolute(std::string_view path);

// Whether `name` may be the name part of a store path; the error says which character is wrong.
Result<void> check_store_path_name(std::string_view name);

// The content-addressed path of a tree whose NAR hashes to `nar_sha256` ("source" type, as
// `nix-store --add` and `castore import` make). `references` must be sorted.
Result<StorePath> store_path_of_nar(const Sha256& nar_sha256, std::string_view name,
                                    std::span<const StorePath> references = {},
                                    bool self_reference = false);

}  // namespace castore::nix
