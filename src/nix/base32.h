// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

// Nix's base32: the bytes as one little-endian number, written with the most significant digit
// first, in an alphabet without e, o, t and u. There is no padding.
namespace castore::nix {

constexpr size_t base32_size(size_t byte_count) {
  return (byte_count * 8 + 4) / 5;
}

std::string base32_encode(ByteView bytes);

// Strict: nothing for a length that no bytes encode to, another character, or bits left over.
std::optional<std::vector<std::byte>> base32_decode(std::string_view text);

}  // namespace castore::nix
