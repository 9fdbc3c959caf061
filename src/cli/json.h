// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace castore::cli {

// One JSON object, written on one line, its fields in the order they were put. JSON text is UTF-8,
// but names and symlink targets are bytes: `put_bytes` writes such a value twice, as text for
// people with \xNN for what is not UTF-8, and as "<key>_base64", which is exact.
class JsonObject {
 public:
  JsonObject& put(std::string_view key, std::string_view utf8);
  JsonObject& put(std::string_view key, const char* utf8) {
    return put(key, std::string_view(utf8));
  }
  JsonObject& put(std::string_view key, std::same_as<bool> auto value) {
    return put_raw(key, value ? "true" : "false");
  }
  JsonObject& put(std::string_view key, uint64_t value);
  JsonObject& put(std::string_view key, const JsonObject& value);
  JsonObject& put(std::string_view key, const std::vector<std::string>& utf8);
  JsonObject& put(std::string_view key, const std::vector<JsonObject>& values);

  // The second key only when `bytes` are not UTF-8.
  JsonObject& put_bytes(std::string_view key, std::string_view bytes);

  std::string text() const { return "{" + fields_ + "}"; }

 private:
  JsonObject& put_raw(std::string_view key, std::string_view value);

  std::string fields_;
};

}  // namespace castore::cli
