// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/varint.h"

// The part of the Protocol Buffers wire format that castore's messages use: varint fields and
// length-delimited fields.
// Source: https://protobuf.dev/programming-guides/encoding/
namespace castore::wire {

inline constexpr uint32_t kVarint = 0;
inline constexpr uint32_t kFixed64 = 1;
inline constexpr uint32_t kLengthDelimited = 2;
inline constexpr uint32_t kFixed32 = 5;

constexpr uint64_t tag(uint32_t field, uint32_t type) {
  return uint64_t{field} << 3 | type;
}

// proto3 leaves out a field that has its default value; these do the same.
inline void append_varint_field(std::string& out, uint32_t field, uint64_t value) {
  if (value == 0) return;
  append_varint(out, tag(field, kVarint));
  append_varint(out, value);
}
inline void append_message_field(std::string& out, uint32_t field, std::string_view bytes) {
  append_varint(out, tag(field, kLengthDelimited));
  append_varint(out, bytes.size());
  out.append(bytes);
}
inline void append_bytes_field(std::string& out, uint32_t field, std::string_view bytes) {
  if (!bytes.empty()) append_message_field(out, field, bytes);
}

constexpr size_t varint_field_size(uint32_t field, uint64_t value) {
  return value == 0 ? 0 : varint_size(tag(field, kVarint)) + varint_size(value);
}
constexpr size_t bytes_field_size(uint32_t field, size_t length) {
  return length == 0 ? 0 : varint_size(tag(field, kLengthDelimited)) + varint_size(length) + length;
}

struct Field {
  uint32_t number = 0;
  uint32_t type = 0;
  uint64_t value = 0;  // varint, fixed
  ByteView bytes;      // length-delimited
  size_t offset = 0;   // of the tag, from the start of the message
};

// Reads the fields of one message in the order they stand in. Lenient, as any Protocol Buffers
// reader, about what a canonical writer would not write; `canonical` remembers whether any field
// was written in a way other than the shortest.
class Reader {
 public:
  explicit Reader(ByteView message) : begin_(message.data()), rest_(message) {}

  bool done() const { return rest_.empty(); }
  bool canonical() const { return canonical_; }

  // The next field, or nothing when the bytes are not a message. Not to be called when `done`.
  std::optional<Field> next() {
    Field field;
    field.offset = static_cast<size_t>(rest_.data() - begin_);
    auto key = take_varint();
    if (!key || *key > UINT32_MAX || *key >> 3 == 0) return std::nullopt;
    field.number = static_cast<uint32_t>(*key >> 3);
    field.type = static_cast<uint32_t>(*key & 7);
    switch (field.type) {
      case kVarint: {
        auto value = take_varint();
        if (!value) return std::nullopt;
        field.value = *value;
        return field;
      }
      case kLengthDelimited: {
        auto length = take_varint();
        if (!length || *length > rest_.size()) return std::nullopt;
        field.bytes = rest_.first(static_cast<size_t>(*length));
        rest_ = rest_.subspan(static_cast<size_t>(*length));
        return field;
      }
      case kFixed64:
      case kFixed32: {
        size_t length = field.type == kFixed64 ? 8 : 4;
        if (rest_.size() < length) return std::nullopt;
        rest_ = rest_.subspan(length);
        return field;
      }
      default:
        return std::nullopt;
    }
  }

 private:
  std::optional<uint64_t> take_varint() {
    ByteView strict = rest_;
    if (auto value = take_minimal_varint(strict)) {
      rest_ = strict;
      return value;
    }
    canonical_ = false;
    uint64_t value = 0;
    for (size_t i = 0; i < kVarintBytesMax && i < rest_.size(); ++i) {
      auto byte = std::to_integer<uint64_t>(rest_[i]);
      if (i == kVarintBytesMax - 1 && byte > 1) return std::nullopt;
      value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        rest_ = rest_.subspan(i + 1);
        return value;
      }
    }
    return std::nullopt;
  }

  const std::byte* begin_;
  ByteView rest_;
  bool canonical_ = true;
};

}  // namespace castore::wire
