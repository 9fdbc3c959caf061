// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/resolve.h"

#include <utility>
#include <vector>

#include "digest/digest.h"
#include "model/directory.h"
#include "model/name.h"

namespace castore::transfer {
namespace {

// A reference taken apart, nothing looked up.
struct Parsed {
  std::string root_text;  // as it was written
  std::string sub_path;
  std::optional<nix::StorePath> store_path;
  Digest digest;           // when there is no store path
  bool is_folder = false;  // says the slash at its end, as completion in a shell leaves it
};

// "blake3-..." and "b3:...", as older programs write, are read by their length: base64 may contain
// slashes.
Result<Parsed> parse_digest(std::string_view reference) {
  const size_t prefix_bytes = reference.find_first_of("-:") + 1;
  const size_t text_bytes = prefix_bytes + Digest::kTextBytes - sizeof("blake3-") + 1;
  const std::string_view text = reference.substr(0, text_bytes);
  const std::string_view rest = reference.substr(text.size());
  auto digest = Digest::parse(text);
  if (!digest || !(rest.empty() || rest.starts_with('/')))
    return fail(ErrorKind::kInvalidArgument,
                "'{}' is not a digest: \"blake3-\" and 44 characters of base64 are expected",
                printable(reference));
  return Parsed{.root_text = std::string(text),
                .sub_path = std::string(rest.empty() ? rest : rest.substr(1)),
                .store_path = std::nullopt,
                .digest = *digest};
}

Result<Parsed> parse_store_path(std::string_view reference) {
  if (reference.starts_with('/')) {
    auto split = CASTORE_TRY(nix::split_absolute(reference));
    return Parsed{.root_text = split.path.absolute(),
                  .sub_path = std::move(split.rest),
                  .store_path = std::move(split.path),
                  .digest = {}};
  }
  const size_t slash = reference.find('/');
  const std::string_view base_name = reference.substr(0, slash);
  auto path = CASTORE_TRY_WHILE(
      nix::StorePath::parse(base_name),
      "'{}' is neither a store path nor the base name of one nor a digest", printable(reference));
  return Parsed{.root_text = std::string(base_name),
                .sub_path = std::string(slash == reference.npos ? std::string_view()
                                                                : reference.substr(slash + 1)),
                .store_path = std::move(path),
                .digest = {}};
}

Result<Parsed> parse(std::string_view reference) {
  std::string_view trimmed = reference;
  while (trimmed.size() > 1 && trimmed.ends_with('/')) trimmed.remove_suffix(1);
  const bool is_digest = trimmed.starts_with("blake3-") || trimmed.starts_with("b3:");
  Parsed parsed = CASTORE_TRY(is_digest ? parse_digest(trimmed) : parse_store_path(trimmed));
  parsed.is_folder = trimmed.size() < reference.size();
  return parsed;
}

Result<nix::PathInfo> find_path(const Context& ctx, const store::Services& services,
                                const nix::StorePath& path) {
  auto info = CASTORE_TRY_WHILE(services.path_infos->get(ctx, path.digest()), "looking up {}",
                                path.absolute());
  if (!info) return fail(ErrorKind::kNotFound, "{} is not in the store", path.absolute());
  if (info->store_path != path)
    return fail(ErrorKind::kNotFound, "{} is not in the store, which has {} of that digest",
                path.absolute(), info->store_path.absolute());
  return std::move(*info);
}

Result<Node> find_object(const Context& ctx, const store::Services& services,
                         const Digest& digest) {
  if (auto directory = CASTORE_TRY_WHILE(services.directories->get(ctx, digest),
                                         "looking up directory {}", digest))
    return DirectoryNode{digest, directory->size(SizeConvention::kDocumented)};
  if (auto blob =
          CASTORE_TRY_WHILE(services.blobs->open(ctx, digest), "looking up blob {}", digest))
    return FileNode{digest, blob->size(), false};
  return fail(ErrorKind::kNotFound, "{} is not in the store, as a directory or as a blob", digest);
}

Result<Node> descend(const Context& ctx, const store::Services& services, const Parsed& parsed,
                     Node node) {
  const std::vector<std::string> names =
      CASTORE_TRY_WHILE(parse_relative_path(parsed.sub_path), "'{}' is not a path in {}",
                        printable(parsed.sub_path), parsed.root_text);
  std::string path = parsed.root_text;
  for (const std::string& name : names) {
    if (auto* link = std::get_if<SymlinkNode>(&node))
      return fail(
          ErrorKind::kNotFound,
          "there is no '{}' in {}: that is a symlink to '{}', and symlinks are not followed",
          printable(name), path, printable(link->target.text()));
    auto* node_here = std::get_if<DirectoryNode>(&node);
    if (!node_here)
      return fail(ErrorKind::kNotFound, "there is no '{}' in {}: that is a file", printable(name),
                  path);
    auto directory = CASTORE_TRY_WHILE(services.directories->get(ctx, node_here->digest),
                                       "looking into {}", path);
    if (!directory)
      return fail(ErrorKind::kCorrupt, "the directory of {}, {}, is not in the store", path,
                  node_here->digest);
    auto entry = directory->lookup(name);
    if (!entry) return fail(ErrorKind::kNotFound, "there is no '{}' in {}", printable(name), path);
    node = entry->to_node();
    path += '/' + printable(name);
  }
  if (parsed.is_folder && !std::holds_alternative<DirectoryNode>(node))
    return fail(ErrorKind::kNotFound, "there is no folder {}/: that is a {}", path,
                std::holds_alternative<FileNode>(node) ? "file" : "symlink");
  return node;
}

}  // namespace

Result<Resolved> resolve(const Context& ctx, const store::Services& services,
                         std::string_view reference) {
  Parsed parsed = CASTORE_TRY(parse(reference));
  std::optional<nix::PathInfo> info;
  if (parsed.store_path) info = CASTORE_TRY(find_path(ctx, services, *parsed.store_path));
  Node root = info ? info->node : CASTORE_TRY(find_object(ctx, services, parsed.digest));
  Node node = CASTORE_TRY(descend(ctx, services, parsed, std::move(root)));
  return Resolved{std::move(node), std::move(info), std::move(parsed.sub_path)};
}

}  // namespace castore::transfer
