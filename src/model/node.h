// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/result.h"
#include "digest/digest.h"

namespace castore {

// Why a byte string cannot be a symlink's target.
enum class SymlinkTargetFault { kEmpty, kTooLong, kNull };

std::string_view describe(SymlinkTargetFault fault);

// Nothing when `target` is valid: 1 to 4095 bytes without NUL. Never normalised.
std::optional<SymlinkTargetFault> check_symlink_target(std::string_view target);

// A valid symlink target.
class SymlinkTarget {
 public:
  static Result<SymlinkTarget> parse(std::string target);

  const std::string& text() const { return text_; }

  friend bool operator==(const SymlinkTarget&, const SymlinkTarget&) = default;

 private:
  explicit SymlinkTarget(std::string text) : text_(std::move(text)) {}

  std::string text_;
};

enum class NodeKind : uint8_t { kDirectory, kFile, kSymlink };

// "directory", "file" or "symlink".
std::string_view to_string(NodeKind kind);

struct DirectoryNode {
  Digest digest;
  uint64_t size = 0;  // number of nodes below, by one of the conventions of SizeConvention

  friend bool operator==(const DirectoryNode&, const DirectoryNode&) = default;
};

struct FileNode {
  Digest digest;
  uint64_t size = 0;  // bytes
  bool executable = false;

  friend bool operator==(const FileNode&, const FileNode&) = default;
};

struct SymlinkNode {
  SymlinkTarget target;

  friend bool operator==(const SymlinkNode&, const SymlinkNode&) = default;
};

// The root of a tree, without a name of its own. The order of the alternatives is that of NodeKind
// and of the lists in an encoded directory.
using Node = std::variant<DirectoryNode, FileNode, SymlinkNode>;

inline NodeKind kind_of(const Node& node) {
  return static_cast<NodeKind>(node.index());
}

// The wrapper message for one node: field 1 directory, 2 file, 3 symlink. With an empty `name` it
// is anonymous, and the name field is left out.
std::string encode_entry(std::string_view name, const Node& node);

struct NamedNode {
  std::string name;  // empty when anonymous
  Node node;
};

// Reads the wrapper message. Strict: bytes must be what `encode_entry` makes. The name, when there
// is one, is not checked here: its rules depend on where the message came from.
Result<NamedNode> decode_entry(ByteView bytes);

}  // namespace castore
