// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/display.h"

#include <fmt/format.h>

#include <cstddef>

namespace castore::cli {
namespace {

struct Character {
  size_t length = 0;  // in bytes; 0: not UTF-8
  uint32_t code_point = 0;
};

// The character at the front of non-empty `bytes`. Refuses overlong forms, surrogates and what lies
// beyond U+10FFFF.
Character first_character(std::string_view bytes) {
  auto byte_at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  uint32_t lead = byte_at(0);
  if (lead < 0x80) return {1, lead};
  size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return {};
  uint32_t code_point = lead & (0xffU >> (length + 1));
  for (size_t i = 1; i < length; i++) {
    if ((byte_at(i) & 0xc0) != 0x80) return {};
    code_point = code_point << 6 | (byte_at(i) & 0x3f);
  }
  constexpr uint32_t kLowest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < kLowest[length] || code_point > 0x10ffff || surrogate) return {};
  return {length, code_point};
}

// C0 and C1 controls, DEL, and the marks that turn the direction of writing around.
bool steers_a_terminal(uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f) ||
         (code_point >= 0x202a && code_point <= 0x202e) ||
         (code_point >= 0x2066 && code_point <= 0x2069);
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    Character character = first_character(bytes);
    if (character.length == 0) return false;
    bytes.remove_prefix(character.length);
  }
  return true;
}

std::string display_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    Character character = first_character(bytes);
    size_t length = character.length == 0 ? 1 : character.length;
    if (character.length == 0 || steers_a_terminal(character.code_point)) {
      for (char c : bytes.substr(0, length))
        text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return text;
}

std::string display_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  const char* name = "";
  for (const char* unit : kUnits) {
    value /= 1024;
    name = unit;
    // What would print as "1024 KiB" is the next unit's "1.0".
    if (value < 1023.5) break;
  }
  return value < 9.95 ? fmt::format("{:.1f} {}", value, name)
                      : fmt::format("{:.0f} {}", value, name);
}

std::string display_count(uint64_t count) {
  std::string digits = fmt::to_string(count);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

}  // namespace castore::cli
