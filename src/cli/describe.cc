// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/describe.h"

#include <fmt/format.h>

#include <variant>

#include "digest/sha256.h"

namespace castore::cli {

void put_node(JsonObject& object, const Node& node) {
  object.put("kind", to_string(kind_of(node)));
  if (const auto* directory = std::get_if<DirectoryNode>(&node)) {
    object.put("digest", directory->digest.to_text()).put("size", directory->size);
  } else if (const auto* file = std::get_if<FileNode>(&node)) {
    object.put("digest", file->digest.to_text())
        .put("size", file->size)
        .put("executable", file->executable);
  } else {
    const std::string& target = std::get<SymlinkNode>(node).target.text();
    object.put("size", uint64_t{target.size()}).put_bytes("target", target);
  }
}

void put_path_info(JsonObject& object, const nix::PathInfo& info) {
  object.put("path", info.store_path.absolute());
  put_node(object, info.node);
  object.put("nar_sha256", to_sri(info.nar_sha256)).put("nar_size", info.nar_size);
}

void put_tally(JsonObject& object, const transfer::Tally& tally) {
  object.put("blobs_new", tally.blobs_new.load())
      .put("bytes_new", tally.bytes_new.load())
      .put("blobs_reused", tally.blobs_reused.load());
}

std::string node_line(const Node& node, const Output& output) {
  if (const auto* directory = std::get_if<DirectoryNode>(&node))
    return fmt::format("directory {} {}", directory->digest, directory->size);
  if (const auto* file = std::get_if<FileNode>(&node))
    return fmt::format("file {} {}{}", file->digest, file->size,
                       file->executable ? " executable" : "");
  return fmt::format("symlink -> {}", output.name(std::get<SymlinkNode>(node).target.text()));
}

std::string_view mode_text(NodeKind kind, bool executable) {
  switch (kind) {
    case NodeKind::kDirectory:
      return "dr-xr-xr-x";
    case NodeKind::kFile:
      return executable ? "-r-xr-xr-x" : "-r--r--r--";
    case NodeKind::kSymlink:
      return "lr--r--r--";
  }
  return "";
}

Result<std::shared_ptr<const Directory>> get_directory(const Context& ctx,
                                                       const store::Services& services,
                                                       const Digest& digest,
                                                       std::string_view place) {
  auto directory = CASTORE_TRY_WHILE(services.directories->get(ctx, digest), "reading {}", place);
  if (directory == nullptr)
    return fail(ErrorKind::kCorrupt, "reading {}: directory {} is missing from the store", place,
                digest);
  return directory;
}

}  // namespace castore::cli
