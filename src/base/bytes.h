// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace castore {

// Borrowed bytes.
using ByteView = std::span<const std::byte>;
using MutableByteView = std::span<std::byte>;

inline ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Shared immutable bytes: a view and whatever keeps it alive (a vector, a mapping).
// Copies are cheap and share; a slice keeps the whole owner alive.
class Bytes {
 public:
  Bytes() = default;
  Bytes(std::shared_ptr<const void> owner, ByteView view) : owner_(std::move(owner)), view_(view) {}

  static Bytes copy_of(ByteView view) {
    return take(std::vector<std::byte>(view.begin(), view.end()));
  }
  static Bytes copy_of(std::string_view text) { return copy_of(bytes_of(text)); }
  static Bytes take(std::vector<std::byte> vector) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(vector));
    ByteView view = *owner;
    return {std::move(owner), view};
  }
  static Bytes take(std::string text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    ByteView view = bytes_of(*owner);
    return {std::move(owner), view};
  }

  ByteView view() const { return view_; }
  std::string_view text() const { return text_of(view_); }
  const std::byte* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }

  Bytes slice(size_t offset, size_t length) const {
    return {owner_, view_.subspan(offset, length)};
  }

  // Compares content.
  friend bool operator==(const Bytes& a, const Bytes& b) { return a.text() == b.text(); }

 private:
  std::shared_ptr<const void> owner_;
  ByteView view_;
};

}  // namespace castore
