// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace castore::transfer {

// Compares what a gzip file unpacked to with the checksum at its end, which libarchive does not.
// Internal to transfer/.
//
// A gzip file may be several, one after the other, each with a checksum of its own; where they
// begin is not known here. One that says another length than was unpacked is taken for such a one,
// and passes.
class GzipCheck {
 public:
  void pass_packed(ByteView bytes);
  void pass_unpacked(ByteView bytes);

  // kCorrupt when the checksum is wrong. Called when everything has passed.
  Result<void> verify() const;

 private:
  static constexpr size_t kTrailerBytes = 8;  // CRC-32 and length modulo 2^32, little-endian

  uint32_t trailer_word(size_t offset) const;

  std::array<std::byte, kTrailerBytes> trailer_{};  // the last bytes of the file so far
  uint32_t crc_ = ~uint32_t{0};
  uint64_t unpacked_bytes_ = 0;
};

}  // namespace castore::transfer
