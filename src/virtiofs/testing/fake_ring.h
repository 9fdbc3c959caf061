// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "virtiofs/ring_abi.h"

namespace castore::virtiofs::testing {

// The driver's side of a split virtqueue in memory of its own. Does what it is told, sensible or
// not. One thread at a time.
class FakeRing {
 public:
  // `memory` has at least `bytes(size)` bytes, of zeros, and is aligned to 16.
  FakeRing(MutableByteView memory, uint16_t size, bool event_index);

  static size_t bytes(uint16_t size);
  static size_t available_offset(uint16_t size);
  static size_t used_offset(uint16_t size);

  void set_descriptor(size_t index, const abi::Descriptor& descriptor);
  // Makes a chain available.
  void put(uint16_t head);
  // Whether the device wants to be told of what was put since this said so last.
  bool must_kick();
  // What the device gave back next.
  std::optional<abi::UsedEntry> take_used();
  // Asks to be told of what the device gives back next. True: it did already.
  bool want_interrupt();

  // For drivers that lie.
  void set_available_index(uint16_t index);
  void set_available_entry(uint16_t place, uint16_t head);
  uint16_t used_index() const;
  uint16_t available_index() const { return available_index_; }

 private:
  std::byte* available() const;
  std::byte* used() const;

  MutableByteView memory_;
  uint16_t size_;
  bool event_index_;
  uint16_t available_index_ = 0;
  uint16_t kicked_index_ = 0;
  uint16_t used_index_ = 0;
};

}  // namespace castore::virtiofs::testing
