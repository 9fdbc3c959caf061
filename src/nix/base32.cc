// SPDX-License-Identifier: MIT OR Apache-2.0
#include "nix/base32.h"

#include <array>

namespace castore::nix {
namespace {

constexpr std::string_view kAlphabet = "0123456789abcdfghijklmnpqrsvwxyz";
static_assert(kAlphabet.size() == 32);

constexpr unsigned kNoDigit = 0xff;

constexpr auto kDigitValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (uint8_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = i;
  return values;
}();

}  // namespace

std::string base32_encode(ByteView bytes) {
  std::string text;
  text.reserve(base32_size(bytes.size()));
  for (size_t digit = base32_size(bytes.size()); digit-- > 0;) {
    size_t index = digit * 5 / 8;
    size_t shift = digit * 5 % 8;
    unsigned window = std::to_integer<unsigned>(bytes[index]);
    if (index + 1 < bytes.size()) window |= std::to_integer<unsigned>(bytes[index + 1]) << 8;
    text.push_back(kAlphabet[window >> shift & 31]);
  }
  return text;
}

std::optional<std::vector<std::byte>> base32_decode(std::string_view text) {
  std::vector<std::byte> bytes(text.size() * 5 / 8);
  if (base32_size(bytes.size()) != text.size()) return std::nullopt;
  for (size_t digit = 0; digit < text.size(); ++digit) {
    unsigned value = kDigitValues[static_cast<unsigned char>(text[text.size() - 1 - digit])];
    if (value == kNoDigit) return std::nullopt;
    size_t index = digit * 5 / 8;
    unsigned window = value << digit * 5 % 8;
    bytes[index] |= static_cast<std::byte>(window & 0xff);
    if (unsigned carry = window >> 8; carry != 0) {
      if (index + 1 == bytes.size()) return std::nullopt;
      bytes[index + 1] |= static_cast<std::byte>(carry);
    }
  }
  return bytes;
}

}  // namespace castore::nix
