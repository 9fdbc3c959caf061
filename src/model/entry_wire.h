// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "model/directory.h"
#include "model/node.h"
#include "model/wire.h"

// The bytes of one entry, shared by the Directory message and the Entry wrapper, which number
// their fields alike. Internal to model/.
namespace castore {

// Field numbers of DirectoryEntry, FileEntry and SymlinkEntry.
inline constexpr uint32_t kEntryName = 1;
inline constexpr uint32_t kEntryDigest = 2;
inline constexpr uint32_t kEntryTarget = 2;
inline constexpr uint32_t kEntrySize = 3;
inline constexpr uint32_t kEntryExecutable = 4;

// An entry's message as it came, nothing checked. Views into the message.
struct RawEntry {
  NodeKind kind = NodeKind::kDirectory;
  bool canonical = true;  // written as the canonical encoder would
  bool executable = false;
  std::string_view name;
  ByteView digest_or_target;
  uint64_t size = 0;

  // Only after check_raw_node found nothing.
  Node to_node() const;
};

// Appends tag, length and message of one entry: a field of Directory or of Entry.
void append_entry_field(std::string& out, std::string_view name, const Node& node);

// Nothing when the bytes are not a message at all.
std::optional<RawEntry> parse_raw_entry(NodeKind kind, ByteView message);

// What is wrong with the digest or target, if anything.
std::optional<DirectoryError> check_raw_node(const RawEntry& entry);

}  // namespace castore
