// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/node.h"

#include "model/entry_wire.h"
#include "model/limits.h"
#include "model/name.h"

namespace castore {

std::string_view describe(SymlinkTargetFault fault) {
  switch (fault) {
    case SymlinkTargetFault::kEmpty:
      return "cannot be empty";
    case SymlinkTargetFault::kTooLong:
      return "cannot be over 4095 bytes long";
    case SymlinkTargetFault::kNull:
      return "cannot contain null bytes";
  }
  return "is not valid";
}

std::optional<SymlinkTargetFault> check_symlink_target(std::string_view target) {
  if (target.empty()) return SymlinkTargetFault::kEmpty;
  if (target.size() > kSymlinkTargetBytesMax) return SymlinkTargetFault::kTooLong;
  if (target.find('\0') != target.npos) return SymlinkTargetFault::kNull;
  return std::nullopt;
}

Result<SymlinkTarget> SymlinkTarget::parse(std::string target) {
  if (auto fault = check_symlink_target(target))
    return fail(ErrorKind::kInvalidArgument, "invalid symlink target '{}': {}", printable(target),
                describe(*fault));
  return SymlinkTarget(std::move(target));
}

std::string_view to_string(NodeKind kind) {
  switch (kind) {
    case NodeKind::kDirectory:
      return "directory";
    case NodeKind::kFile:
      return "file";
    case NodeKind::kSymlink:
      return "symlink";
  }
  return "node";
}

std::string encode_entry(std::string_view name, const Node& node) {
  std::string out;
  append_entry_field(out, name, node);
  return out;
}

Result<NamedNode> decode_entry(ByteView bytes) {
  wire::Reader reader(bytes);
  if (reader.done()) return fail(ErrorKind::kCorrupt, "No entry set");
  auto field = reader.next();
  if (!field || field->type != wire::kLengthDelimited || field->number > 3 || !reader.done())
    return fail(ErrorKind::kCorrupt, "the bytes are not an entry message");
  auto kind = static_cast<NodeKind>(field->number - 1);
  auto raw = parse_raw_entry(kind, field->bytes);
  if (!raw) return fail(ErrorKind::kCorrupt, "the bytes are not an entry message");
  if (auto error = check_raw_node(*raw))
    return fail(ErrorKind::kCorrupt, "invalid node: {}", error->message());
  if (!raw->canonical || !reader.canonical())
    return fail(ErrorKind::kCorrupt, "the entry message is not in canonical form");
  return NamedNode{std::string(raw->name), raw->to_node()};
}

}  // namespace castore
