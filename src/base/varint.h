// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace castore {

// Protocol Buffers varints: seven bits a byte, lowest first, high bit set on all but the last.

inline constexpr size_t kVarintBytesMax = 10;

constexpr size_t varint_size(uint64_t value) {
  size_t n = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++n;
  }
  return n;
}

inline void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

// Takes one varint off the front of `in`. Nothing, and `in` unspecified, when it is cut off, does
// not fit 64 bits, or is longer than it need be.
inline std::optional<uint64_t> take_minimal_varint(ByteView& in) {
  uint64_t value = 0;
  for (size_t i = 0; i < kVarintBytesMax && i < in.size(); ++i) {
    auto byte = std::to_integer<uint64_t>(in[i]);
    if (i == kVarintBytesMax - 1 && byte > 1) return std::nullopt;
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) return std::nullopt;
      in = in.subspan(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace castore
