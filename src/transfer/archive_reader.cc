// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/archive_reader.h"

#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "model/name.h"

namespace castore::transfer {
namespace {

constexpr uint64_t kBlockBytes = 512;

// Headers with everything that belongs to them: long names, extended attributes, the map of a
// sparse file, of which libarchive keeps ten times as much in memory.
constexpr uint64_t kHeaderBytesMax = 4 << 20;

// libarchive converts the names of pax archives from UTF-8 to the charset of the locale, and where
// that is UTF-8 as well it even puts them into normal form: other bytes than those in the archive.
// In the "C" locale the conversion fails for every name that is not ASCII; it then warns and gives
// the bytes as they are, which is what we want.
class UseLocale {
 public:
  explicit UseLocale(locale_t locale) : before_(::uselocale(locale)) {}
  UseLocale(const UseLocale&) = delete;
  UseLocale& operator=(const UseLocale&) = delete;
  ~UseLocale() { ::uselocale(before_); }

 private:
  locale_t before_;
};

constexpr std::string_view kConversionWarning = "can't be converted";

std::string text_or_empty(const char* text) {
  return text ? text : "";
}

std::string_view describe_type(unsigned type) {
  switch (type) {
    case AE_IFIFO:
      return "a named pipe (fifo)";
    case AE_IFCHR:
      return "a character device";
    case AE_IFBLK:
      return "a block device";
    case AE_IFSOCK:
      return "a socket";
    default:
      return "of an unknown kind";
  }
}

}  // namespace

ArchiveReader::ArchiveReader(ArchiveBytes source, uint64_t unpacked_bytes_max)
    : stream_(std::move(source), unpacked_bytes_max),
      plain_locale_(::newlocale(LC_ALL_MASK, "C", nullptr)),
      archive_(::archive_read_new()) {}

la_ssize_t ArchiveReader::read_callback(struct archive* archive, void* self, const void** buffer) {
  auto* reader = static_cast<ArchiveReader*>(self);
  auto bytes = reader->stream_.next();
  if (!bytes) {
    reader->stream_error_ = std::move(bytes).error();
    ::archive_set_error(archive, EIO, "reading failed");
    return -1;
  }
  if (reader->in_header_) {
    reader->header_bytes_ += bytes->size();
    if (reader->header_bytes_ > kHeaderBytesMax) {
      reader->stream_error_ =
          Error(ErrorKind::kExhausted,
                fmt::format("the header of a member is larger than {} MiB", kHeaderBytesMax >> 20));
      ::archive_set_error(archive, EIO, "too large");
      return -1;
    }
  }
  *buffer = bytes->data();
  return static_cast<la_ssize_t>(bytes->size());
}

std::unexpected<Error> ArchiveReader::failure() const {
  if (stream_error_) return std::unexpected(*stream_error_);
  return fail(ErrorKind::kCorrupt, "{}", archive_message(archive_.get()));
}

Result<void> ArchiveReader::open() {
  opened_ = true;
  ::archive_read_support_format_tar(archive_.get());
  // This finds out what it is as well.
  const int status = ::archive_read_open(archive_.get(), this, nullptr, read_callback, nullptr);
  if (stream_error_) return failure();
  if (status != ARCHIVE_OK)
    return fail(ErrorKind::kInvalidArgument,
                "it is not a tar archive, plain or compressed in a way known here");
  return {};
}

Result<std::optional<ArchiveMember>> ArchiveReader::next() {
  file_size_ = position_ = 0;
  block_ = {};
  data_ended_ = false;
  if (!opened_) CASTORE_TRY(open());
  struct archive_entry* entry = nullptr;
  int status;
  {
    UseLocale plain(plain_locale_.get());
    // What the last member has left is no part of the next one's header.
    if (has_member_) (void)::archive_read_data_skip(archive_.get());
    in_header_ = true;
    header_bytes_ = 0;
    status = ::archive_read_next_header(archive_.get(), &entry);
    in_header_ = false;
  }
  if (stream_error_) return failure();
  if (status == ARCHIVE_EOF) {
    CASTORE_TRY(check_end());
    return std::nullopt;
  }
  const bool names_kept_as_they_are =
      status == ARCHIVE_WARN && archive_message(archive_.get()).contains(kConversionWarning);
  if (status != ARCHIVE_OK && !names_kept_as_they_are) return failure();
  has_member_ = true;
  ArchiveMember member = CASTORE_TRY(describe(entry));
  file_size_ = member.size;
  return member;
}

Result<ArchiveMember> ArchiveReader::describe(struct archive_entry* entry) const {
  ArchiveMember member;
  member.path = text_or_empty(::archive_entry_pathname(entry));
  if (const char* target = ::archive_entry_hardlink(entry)) {
    member.kind = ArchiveMember::Kind::kHardLink;
    member.target = target;
    return member;
  }
  switch (const unsigned type = ::archive_entry_filetype(entry); type) {
    case AE_IFREG: {
      const la_int64_t size = ::archive_entry_size(entry);
      if (size < 0)
        return fail(ErrorKind::kCorrupt, "{} has a negative size", printable(member.path));
      member.size = static_cast<uint64_t>(size);
      member.executable = (::archive_entry_perm(entry) & S_IXUSR) != 0;
      return member;
    }
    case AE_IFDIR:
      member.kind = ArchiveMember::Kind::kFolder;
      return member;
    case AE_IFLNK:
      member.kind = ArchiveMember::Kind::kSymlink;
      member.target = text_or_empty(::archive_entry_symlink(entry));
      return member;
    default:
      return fail(ErrorKind::kInvalidArgument,
                  "unsupported tar entry {}: it is {}; folders, regular files, symlinks and hard "
                  "links can be ingested",
                  printable(member.path), describe_type(type));
  }
}

Result<size_t> ArchiveReader::read(MutableByteView out) {
  size_t done = 0;
  while (done < out.size() && position_ < file_size_) {
    if (block_.empty() && !data_ended_) {
      CASTORE_TRY(read_block());
      continue;
    }
    // What lies before the block, or after the last one, is a hole of a sparse file.
    const uint64_t block_begin = block_.empty() ? file_size_ : block_begin_;
    size_t length = out.size() - done;
    if (position_ < block_begin) {
      length = static_cast<size_t>(std::min<uint64_t>(length, block_begin - position_));
      std::memset(out.data() + done, 0, length);
    } else {
      length = std::min(length, block_.size());
      std::memcpy(out.data() + done, block_.data(), length);
      block_ = block_.subspan(length);
      block_begin_ += length;
    }
    done += length;
    position_ += length;
  }
  return done;
}

Result<void> ArchiveReader::read_block() {
  const void* data = nullptr;
  size_t length = 0;
  la_int64_t offset = 0;
  const int status = ::archive_read_data_block(archive_.get(), &data, &length, &offset);
  if (status == ARCHIVE_EOF) {
    data_ended_ = true;
    return {};
  }
  if (status != ARCHIVE_OK) return failure();
  block_ = {static_cast<const std::byte*>(data), length};
  block_begin_ = static_cast<uint64_t>(offset);
  if (length > 0 &&
      (block_begin_ < position_ || block_begin_ > file_size_ || length > file_size_ - block_begin_))
    return fail(ErrorKind::kCorrupt, "the parts of a sparse file overlap or exceed it");
  return {};
}

// libarchive takes an archive that just stops between two members for a whole one, and does not
// look at what comes after the end.
Result<void> ArchiveReader::check_end() {
  const auto end = static_cast<uint64_t>(::archive_filter_bytes(archive_.get(), 0));
  CASTORE_TRY(stream_.drain());
  if (stream_.tail().begin() > end)
    return fail(ErrorKind::kCorrupt, "there is something after the end of the archive, at byte {}",
                end);
  if (stream_.tail().begin() + kBlockBytes > end)
    return fail(ErrorKind::kCorrupt,
                "it is cut off: the mark for the end of the archive is missing");
  return {};
}

}  // namespace castore::transfer
