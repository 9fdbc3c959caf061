// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "digest/digest.h"
#include "model/limits.h"
#include "model/name.h"
#include "model/node.h"

namespace castore {

// How the `size` of a directory node is counted. The size is part of the parent's bytes, so the
// convention decides about digests. See docs/formats/directory-encoding.md.
enum class SizeConvention {
  kDocumented,  // entries + the sizes of the child directories
  kDoubled,     // twice that; what deployed tvix and snix servers compute and insist on
};

// Why bytes are not a valid directory. The names are the field's; see
// docs/formats/directory-encoding.md for the order in which they are looked for.
class DirectoryError {
 public:
  enum class Code {
    kNotCanonical,  // not the one canonical encoding of a Directory message
    kWrongSorting,
    kDuplicateName,
    kInvalidName,
    kInvalidDigestLen,
    kInvalidSymlinkTarget,
    kSizeOverflow,
    kTooLarge,  // over the limits of model/limits.h
  };

  DirectoryError(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // For callers that only pass it on: kCorrupt.
  operator Error() const;

 private:
  Code code_;
  std::string message_;
};

// One entry of a directory: a view into the directory it came from.
struct DirectoryEntry {
  std::string_view name;
  NodeKind kind = NodeKind::kDirectory;
  bool executable = false;  // files
  Digest digest;            // directories and files
  uint64_t size = 0;        // directories and files
  std::string_view target;  // symlinks

  Node to_node() const;
};

// One directory level: names and nodes.
//
//   Always true  the entries are valid and unique, in bytewise order of their names over all kinds;
//                `encoded()` is the one canonical encoding, and its BLAKE3 names the directory.
//   Cost         the value is the encoded bytes and four bytes an entry beside them. Copies share.
//                `entry` reads one entry; `lookup` is a binary search.
//   Threads      immutable.
class Directory {
 public:
  // The empty directory; its encoding is empty too.
  Directory() = default;

  // Takes bytes from outside or from a store, accepting only the canonical encoding of a valid
  // directory, and of several faults naming the one the format puts first.
  static std::expected<Directory, DirectoryError> decode(Bytes encoded);

  size_t entry_count() const { return index_ ? index_->size() : 0; }
  DirectoryEntry entry(size_t i) const;
  std::optional<DirectoryEntry> lookup(std::string_view name) const;
  // The first entry whose name is greater than `name`: where a listing that ended there goes on.
  size_t upper_bound(std::string_view name) const;

  const Bytes& encoded() const { return encoded_; }

  // Hashes the encoding: not free for large directories.
  Digest digest() const;

  // The `size` a parent records for this directory. Child directories count with the sizes recorded
  // in this one.
  uint64_t size(SizeConvention convention) const;

  // Whether a parent's recorded `size` for this directory is right under any convention in use.
  bool accepts_recorded_size(uint64_t size) const;

  friend bool operator==(const Directory& a, const Directory& b) {
    return a.encoded_ == b.encoded_;
  }

 private:
  friend class DirectoryBuilder;

  using Index = std::vector<uint32_t>;

  Directory(Bytes encoded, Index index, uint64_t child_sizes);

  Bytes encoded_;
  std::shared_ptr<const Index> index_;  // where in encoded_ each entry's tag stands, in name order
  uint64_t child_sizes_ = 0;            // sum of the sizes of the child directories
};

// The size of a directory with that many entries whose child directories' sizes add up to
// `child_sizes`; nothing when it does not fit 64 bits.
std::optional<uint64_t> directory_size(SizeConvention convention, uint64_t entry_count,
                                       uint64_t child_sizes);

// Collects entries in any order and makes the canonical directory of them. Memory is that of the
// encoded entries and a few bytes beside each.
class DirectoryBuilder {
 public:
  // kInvalidArgument for a name that is not valid, kExhausted beyond the limits. Twins show later.
  Result<void> add(std::string_view name, const Node& node);

  size_t entry_count() const { return entries_.size(); }

  // kDuplicateName or kSizeOverflow when the entries do not make a directory (limits: see `add`).
  // The builder is empty afterwards.
  std::expected<Directory, DirectoryError> build();

 private:
  struct Pending {
    uint32_t offset;  // in bytes_
    uint32_t length;
    uint16_t name_offset;  // in the entry
    uint16_t name_length;
    NodeKind kind;
  };

  std::string_view name_of(const Pending& entry) const;

  std::string bytes_;
  std::vector<Pending> entries_;
  uint64_t child_sizes_ = 0;
  bool child_sizes_overflow_ = false;
};

}  // namespace castore
