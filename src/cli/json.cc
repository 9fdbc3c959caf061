// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/bytes.h"
#include "cli/display.h"

namespace castore::cli {
namespace {

std::string json_string(std::string_view text) {
  using nlohmann::json;
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

JsonObject& JsonObject::put_raw(std::string_view key, std::string_view value) {
  if (!fields_.empty()) fields_ += ',';
  fields_ += json_string(key);
  fields_ += ':';
  fields_ += value;
  return *this;
}

JsonObject& JsonObject::put(std::string_view key, std::string_view utf8) {
  return put_raw(key, json_string(utf8));
}

JsonObject& JsonObject::put(std::string_view key, uint64_t value) {
  return put_raw(key, fmt::to_string(value));
}

JsonObject& JsonObject::put(std::string_view key, const JsonObject& value) {
  return put_raw(key, value.text());
}

JsonObject& JsonObject::put(std::string_view key, const std::vector<std::string>& utf8) {
  std::string list;
  for (const std::string& value : utf8) {
    if (!list.empty()) list += ',';
    list += json_string(value);
  }
  return put_raw(key, "[" + list + "]");
}

JsonObject& JsonObject::put(std::string_view key, const std::vector<JsonObject>& values) {
  std::string list;
  for (const JsonObject& value : values) {
    if (!list.empty()) list += ',';
    list += value.text();
  }
  return put_raw(key, "[" + list + "]");
}

JsonObject& JsonObject::put_bytes(std::string_view key, std::string_view bytes) {
  if (is_utf8(bytes)) return put(key, bytes);
  put(key, display_text(bytes));
  return put(std::string(key) + "_base64", base64_encode(bytes_of(bytes)));
}

}  // namespace castore::cli
