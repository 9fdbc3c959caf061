// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <locale.h>

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "base/bytes.h"
#include "base/result.h"
#include "transfer/archive_stream.h"

namespace castore::transfer {

// One member of a tar archive. Names are the bytes of the archive, whatever they mean.
struct ArchiveMember {
  enum class Kind { kFolder, kFile, kSymlink, kHardLink };

  Kind kind = Kind::kFile;
  std::string path;
  std::string target;       // of symlinks and hard links
  uint64_t size = 0;        // of files
  bool executable = false;  // files
};

// Reads a tar archive from front to back: ustar, pax, GNU and older, plain or compressed. Internal
// to transfer/.
class ArchiveReader {
 public:
  ArchiveReader(ArchiveBytes source, uint64_t unpacked_bytes_max);
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  // The next member; nothing after the last, when what follows the archive has been found to be
  // padding. kInvalidArgument: this is no tar archive, or a member is of a kind that has no place
  // in a tree. kCorrupt: it is cut off or damaged.
  Result<std::optional<ArchiveMember>> next();

  // The content of the file `next` gave: fills `out`, less of it only at the end. Holes are zeros.
  Result<size_t> read(MutableByteView out);

 private:
  struct FreeLocale {
    void operator()(locale_t locale) const { ::freelocale(locale); }
  };

  static la_ssize_t read_callback(struct archive*, void* self, const void** buffer);

  Result<void> open();
  Result<void> check_end();
  Result<void> read_block();
  Result<ArchiveMember> describe(struct archive_entry* entry) const;
  std::unexpected<Error> failure() const;

  UnpackedStream stream_;
  std::optional<Error> stream_error_;
  std::unique_ptr<std::remove_pointer_t<locale_t>, FreeLocale> plain_locale_;
  ArchiveHandle archive_;
  bool opened_ = false;
  bool has_member_ = false;    // the last header was read, and its data may not be
  bool in_header_ = false;     // libarchive reads a member's header, of which it keeps all it reads
  uint64_t header_bytes_ = 0;  // of it, so far

  // The file being read.
  uint64_t file_size_ = 0;
  uint64_t position_ = 0;     // bytes given out
  ByteView block_;            // what libarchive gave and was not given out
  uint64_t block_begin_ = 0;  // where in the file that belongs
  bool data_ended_ = false;   // libarchive has no more
};

}  // namespace castore::transfer
