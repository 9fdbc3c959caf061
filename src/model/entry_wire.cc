// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/entry_wire.h"

#include "base/check.h"

namespace castore {

Node RawEntry::to_node() const {
  if (kind == NodeKind::kSymlink) {
    auto target = SymlinkTarget::parse(std::string(text_of(digest_or_target)));
    CASTORE_CHECK(target.has_value(), "an unchecked symlink target");
    return SymlinkNode{std::move(*target)};
  }
  auto digest = Digest::from_bytes(digest_or_target);
  CASTORE_CHECK(digest.has_value(), "an unchecked digest");
  if (kind == NodeKind::kDirectory) return DirectoryNode{*digest, size};
  return FileNode{*digest, size, executable};
}

void append_entry_field(std::string& out, std::string_view name, const Node& node) {
  std::string_view second;
  uint64_t size = 0;
  bool executable = false;
  if (auto* directory = std::get_if<DirectoryNode>(&node)) {
    second = directory->digest.raw();
    size = directory->size;
  } else if (auto* file = std::get_if<FileNode>(&node)) {
    second = file->digest.raw();
    size = file->size;
    executable = file->executable;
  } else {
    second = std::get<SymlinkNode>(node).target.text();
  }
  append_varint(out, wire::tag(static_cast<uint32_t>(node.index()) + 1, wire::kLengthDelimited));
  append_varint(out, wire::bytes_field_size(kEntryName, name.size()) +
                         wire::bytes_field_size(kEntryDigest, second.size()) +
                         wire::varint_field_size(kEntrySize, size) +
                         wire::varint_field_size(kEntryExecutable, executable));
  wire::append_bytes_field(out, kEntryName, name);
  wire::append_bytes_field(out, kEntryDigest, second);
  wire::append_varint_field(out, kEntrySize, size);
  wire::append_varint_field(out, kEntryExecutable, executable);
}

std::optional<RawEntry> parse_raw_entry(NodeKind kind, ByteView message) {
  RawEntry entry;
  entry.kind = kind;
  wire::Reader reader(message);
  uint32_t previous = 0;
  while (!reader.done()) {
    auto field = reader.next();
    if (!field) return std::nullopt;
    if (field->number <= previous) entry.canonical = false;
    previous = field->number;
    bool is_default = field->type == wire::kVarint ? field->value == 0 : field->bytes.empty();
    if (is_default) entry.canonical = false;
    bool known = false;
    if (field->type == wire::kLengthDelimited) {
      known = field->number == kEntryName || field->number == kEntryDigest;
      if (field->number == kEntryName) entry.name = text_of(field->bytes);
      if (field->number == kEntryDigest) entry.digest_or_target = field->bytes;
    } else if (field->type == wire::kVarint && kind != NodeKind::kSymlink) {
      if (field->number == kEntrySize) {
        known = true;
        entry.size = field->value;
      } else if (field->number == kEntryExecutable && kind == NodeKind::kFile) {
        known = true;
        entry.executable = field->value != 0;
        if (field->value > 1) entry.canonical = false;
      }
    }
    if (!known) entry.canonical = false;
  }
  if (!reader.canonical()) entry.canonical = false;
  return entry;
}

std::optional<DirectoryError> check_raw_node(const RawEntry& entry) {
  if (entry.kind == NodeKind::kSymlink) {
    if (auto fault = check_symlink_target(text_of(entry.digest_or_target)))
      return DirectoryError(DirectoryError::Code::kInvalidSymlinkTarget,
                            fmt::format("invalid node with name {}: Invalid symlink target: {}",
                                        printable(entry.name), describe(*fault)));
  } else if (entry.digest_or_target.size() != Digest::kBytes) {
    return DirectoryError(DirectoryError::Code::kInvalidDigestLen,
                          fmt::format("invalid node with name {}: invalid digest length: {}",
                                      printable(entry.name), entry.digest_or_target.size()));
  }
  return std::nullopt;
}

}  // namespace castore
