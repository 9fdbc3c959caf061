// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Problem: libarchive stops reading when the tar archive ends. What comes after that, damage to the
// end of the compressed data included, would go unnoticed; and it cannot be asked for.
//
// Idea: two readers. This one decompresses ("raw" format) and hands everything on to the tar
// reader, noticing where the last byte that is not zero stood. When the tar reader says that it is
// done, the rest is read to its end, and the two positions are compared.
#include "transfer/archive_stream.h"

#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace castore::transfer {
namespace {

constexpr size_t kSourceBufferBytes = 256 * 1024;

}  // namespace

std::string archive_message(struct archive* archive) {
  const char* text = ::archive_error_string(archive);
  return text ? text : "no reason given";
}

void ZeroTail::pass(ByteView bytes) {
  auto last =
      std::find_if(bytes.rbegin(), bytes.rend(), [](std::byte b) { return b != std::byte{}; });
  if (last != bytes.rend()) begin_ = total_ + static_cast<uint64_t>(bytes.rend() - last);
  total_ += bytes.size();
}

UnpackedStream::UnpackedStream(ArchiveBytes source, uint64_t unpacked_bytes_max)
    : source_(std::move(source)),
      unpacked_bytes_max_(unpacked_bytes_max),
      buffer_(kSourceBufferBytes),
      archive_(::archive_read_new()) {}

la_ssize_t UnpackedStream::read_callback(struct archive* archive, void* self, const void** buffer) {
  auto* stream = static_cast<UnpackedStream*>(self);
  auto bytes = stream->read_source();
  if (!bytes) {
    stream->source_error_ = std::move(bytes).error();
    ::archive_set_error(archive, EIO, "reading failed");
    return -1;
  }
  *buffer = bytes->data();
  return static_cast<la_ssize_t>(bytes->size());
}

Result<ByteView> UnpackedStream::read_source() {
  const size_t length = CASTORE_TRY(source_(buffer_));
  const ByteView bytes(buffer_.data(), length);
  source_tail_.pass(bytes);
  gzip_.pass_packed(bytes);
  return bytes;
}

Result<void> UnpackedStream::open() {
  opened_ = true;
  struct archive* archive = archive_.get();
  ::archive_read_support_format_raw(archive);
  // All that libarchive was built to decompress by itself. For the rest it would start other
  // programs, which is not for input from strangers.
  ::archive_read_support_filter_compress(archive);
  if (::archive_zlib_version()) ::archive_read_support_filter_gzip(archive);
  if (::archive_bzlib_version()) ::archive_read_support_filter_bzip2(archive);
  if (::archive_liblz4_version()) ::archive_read_support_filter_lz4(archive);
  if (::archive_libzstd_version()) ::archive_read_support_filter_zstd(archive);
  if (::archive_liblzma_version()) {
    ::archive_read_support_filter_lzip(archive);
    ::archive_read_support_filter_lzma(archive);
    ::archive_read_support_filter_xz(archive);
  }
  struct archive_entry* entry = nullptr;
  const bool failed =
      ::archive_read_open(archive, this, nullptr, read_callback, nullptr) != ARCHIVE_OK ||
      ::archive_read_next_header(archive, &entry) != ARCHIVE_OK;
  if (source_error_) return std::unexpected(*source_error_);
  if (source_tail_.total() == 0) return fail(ErrorKind::kInvalidArgument, "it is empty");
  if (failed)
    return fail(ErrorKind::kInvalidArgument, "it is not an archive: {}", archive_message(archive));
  // One filter, and the one that stands for the source.
  is_gzip_ = ::archive_filter_count(archive) == 2 &&
             ::archive_filter_code(archive, 0) == ARCHIVE_FILTER_GZIP;
  return {};
}

Result<ByteView> UnpackedStream::next() {
  if (!opened_) CASTORE_TRY(open());
  if (ended_) return ByteView();
  const void* data = nullptr;
  size_t length = 0;
  la_int64_t offset = 0;
  for (;;) {
    const int status = ::archive_read_data_block(archive_.get(), &data, &length, &offset);
    if (source_error_) return std::unexpected(*source_error_);
    if (status == ARCHIVE_EOF) {
      ended_ = true;
      return ByteView();
    }
    if (status != ARCHIVE_OK)
      return fail(ErrorKind::kCorrupt, "{}", archive_message(archive_.get()));
    if (length == 0) continue;
    const ByteView bytes(static_cast<const std::byte*>(data), length);
    unpacked_tail_.pass(bytes);
    if (is_gzip_) gzip_.pass_unpacked(bytes);
    if (unpacked_tail_.total() > unpacked_bytes_max_)
      return fail(ErrorKind::kExhausted, "it unpacks to more than {} bytes", unpacked_bytes_max_);
    return bytes;
  }
}

Result<void> UnpackedStream::drain() {
  while (!CASTORE_TRY(next()).empty()) {
  }
  while (!CASTORE_TRY(read_source()).empty()) {
  }
  const auto used = static_cast<uint64_t>(::archive_filter_bytes(archive_.get(), -1));
  if (source_tail_.begin() > used)
    return fail(ErrorKind::kCorrupt,
                "there is something after the end of the compressed data, at byte {}", used);
  // With padding after it, the checksum is not at the end.
  if (is_gzip_ && source_tail_.total() == used) return gzip_.verify();
  return {};
}

}  // namespace castore::transfer
