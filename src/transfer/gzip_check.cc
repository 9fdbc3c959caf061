// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/gzip_check.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace castore::transfer {
namespace {

// RFC 1952, section 8, for eight bytes at a time: kTables[k][b] is what a byte `b` contributes when
// `k` more bytes follow it.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  constexpr uint32_t kPolynomial = 0xEDB88320;
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < tables.size(); ++k)
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  return tables;
}

constexpr Tables kTables = make_tables();

uint32_t update_crc(uint32_t crc, ByteView bytes) {
  static_assert(std::endian::native == std::endian::little,
                "words are read as they stand; a big-endian port must swap them");
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    word ^= crc;
    crc = 0;
    for (size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][word >> (8 * i) & 0xff];
  }
  for (std::byte byte : bytes)
    crc = crc >> 8 ^ kTables[0][(crc ^ std::to_integer<uint32_t>(byte)) & 0xff];
  return crc;
}

}  // namespace

void GzipCheck::pass_packed(ByteView bytes) {
  const size_t length = std::min(bytes.size(), trailer_.size());
  std::shift_left(trailer_.begin(), trailer_.end(), static_cast<std::ptrdiff_t>(length));
  std::ranges::copy(bytes.last(length), trailer_.end() - static_cast<std::ptrdiff_t>(length));
}

void GzipCheck::pass_unpacked(ByteView bytes) {
  crc_ = update_crc(crc_, bytes);
  unpacked_bytes_ += bytes.size();
}

uint32_t GzipCheck::trailer_word(size_t offset) const {
  uint32_t word;
  std::memcpy(&word, trailer_.data() + offset, sizeof word);
  return word;
}

Result<void> GzipCheck::verify() const {
  if (trailer_word(4) != static_cast<uint32_t>(unpacked_bytes_)) return {};
  if (trailer_word(0) == ~crc_) return {};
  return fail(ErrorKind::kCorrupt, "the compressed data is damaged: its checksum is wrong");
}

}  // namespace castore::transfer
