// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <archive.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "transfer/archive_source.h"
#include "transfer/gzip_check.h"

// The bytes of an archive on their way to the tar reader. Internal to transfer/.
namespace castore::transfer {

struct FreeArchive {
  void operator()(struct archive* archive) const { ::archive_read_free(archive); }
};
using ArchiveHandle = std::unique_ptr<struct archive, FreeArchive>;

// What libarchive says about the last failure.
std::string archive_message(struct archive* archive);

// Notices where, in bytes that pass by, the zeros at their end begin. Tar archives end with zeros,
// and some programs pad any file with them.
class ZeroTail {
 public:
  void pass(ByteView bytes);

  uint64_t total() const { return total_; }
  uint64_t begin() const { return begin_; }  // everything from here to the end is zero

 private:
  uint64_t total_ = 0;
  uint64_t begin_ = 0;
};

// The archive's bytes, decompressed when they are compressed.
class UnpackedStream {
 public:
  UnpackedStream(ArchiveBytes source, uint64_t unpacked_bytes_max);
  UnpackedStream(const UnpackedStream&) = delete;
  UnpackedStream& operator=(const UnpackedStream&) = delete;

  // The next piece, which is valid until the next call; empty at the end.
  Result<ByteView> next();

  // Reads what the tar reader did not ask for, and checks that nothing but padding comes after the
  // end of the compressed data. `tail` covers the whole stream then.
  Result<void> drain();

  const ZeroTail& tail() const { return unpacked_tail_; }

 private:
  static la_ssize_t read_callback(struct archive*, void* self, const void** buffer);

  Result<ByteView> read_source();
  Result<void> open();

  ArchiveBytes source_;
  const uint64_t unpacked_bytes_max_;
  std::vector<std::byte> buffer_;
  std::optional<Error> source_error_;
  GzipCheck gzip_;
  bool is_gzip_ = false;
  ZeroTail source_tail_;
  ZeroTail unpacked_tail_;
  ArchiveHandle archive_;
  bool opened_ = false;
  bool ended_ = false;
};

}  // namespace castore::transfer
