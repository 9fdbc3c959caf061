// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace castore::fs {

// A text that never changes, in 20 bytes that need no alignment: up to 19 bytes of it are inside,
// a longer one is one block of the heap. Most names are short.
class CompactText {
 public:
  explicit CompactText(std::string_view text) {
    if (text.size() <= kInside) {
      std::memcpy(bytes_.data(), text.data(), text.size());
      size_ = static_cast<uint8_t>(text.size());
      return;
    }
    Outside outside = {new char[text.size()], text.size()};
    std::memcpy(outside.data, text.data(), text.size());
    std::memcpy(bytes_.data(), &outside, sizeof outside);
    size_ = kIsOutside;
  }
  CompactText(CompactText&& other) noexcept
      : bytes_(other.bytes_), size_(std::exchange(other.size_, 0)) {}
  CompactText& operator=(CompactText&&) = delete;
  ~CompactText() {
    if (size_ == kIsOutside) delete[] outside().data;
  }

  // Valid as long as this is, and until it is moved.
  std::string_view view() const {
    if (size_ != kIsOutside) return {bytes_.data(), size_};
    return {outside().data, outside().size};
  }

 private:
  struct Outside {
    char* data;
    size_t size;
  };

  static constexpr size_t kInside = 19;
  static constexpr uint8_t kIsOutside = UINT8_MAX;
  static_assert(sizeof(Outside) <= kInside);

  Outside outside() const {
    Outside outside;
    std::memcpy(&outside, bytes_.data(), sizeof outside);
    return outside;
  }

  std::array<char, kInside> bytes_{};
  uint8_t size_;  // of a text inside, or kIsOutside
};
static_assert(sizeof(CompactText) == 20 && alignof(CompactText) == 1);

}  // namespace castore::fs
