// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <fmt/format.h>

#include <array>
#include <compare>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace castore {

// The name of a blob or a directory: the BLAKE3-256 of its bytes. A plain value of 32 bytes,
// ordered bytewise.
class Digest {
 public:
  static constexpr size_t kBytes = 32;
  // "blake3-" and 44 characters of base64.
  static constexpr size_t kTextBytes = 51;

  constexpr Digest() = default;  // all zero bytes
  constexpr explicit Digest(const std::array<std::byte, kBytes>& bytes) : bytes_(bytes) {}

  // kInvalidArgument "invalid digest length: N" unless there are 32 bytes.
  static Result<Digest> from_bytes(ByteView bytes);

  // Reads "blake3-<base64>" and the older "b3:<base64>". Strict base64 with padding.
  static Result<Digest> parse(std::string_view text);

  ByteView bytes() const { return bytes_; }
  std::string_view raw() const { return text_of(bytes_); }

  std::string to_text() const;  // "blake3-<base64>"
  std::string to_hex() const;

  friend auto operator<=>(const Digest&, const Digest&) = default;
  friend bool operator==(const Digest&, const Digest&) = default;

 private:
  std::array<std::byte, kBytes> bytes_{};
};

}  // namespace castore

// A digest is evenly spread already: its first bytes are its hash.
template <>
struct std::hash<castore::Digest> {
  size_t operator()(const castore::Digest& digest) const noexcept {
    size_t value;
    std::memcpy(&value, digest.bytes().data(), sizeof value);
    return value;
  }
};

template <>
struct fmt::formatter<castore::Digest> : fmt::formatter<std::string_view> {
  auto format(const castore::Digest& digest, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(digest.to_text(), context);
  }
};
