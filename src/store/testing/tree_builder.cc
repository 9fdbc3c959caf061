// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/testing/tree_builder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "digest/blake3.h"
#include "model/name.h"
#include "store/testing/must.h"

namespace castore::store::testing {
namespace {

std::string_view parent_of(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

TreeBuilder::TreeBuilder(Services services) : services_(std::move(services)) {
  folder("");
}

TreeBuilder::Entries& TreeBuilder::folder(std::string_view path) {
  // From the folder up, until one is known already.
  Entries& entries = folders_[std::string(path)];
  while (!path.empty()) {
    path = parent_of(path);
    if (!folders_.try_emplace(std::string(path)).second) break;
  }
  return entries;
}

TreeBuilder& TreeBuilder::file(std::string_view path, std::string_view content, bool executable) {
  Digest digest = blake3(content);
  must(services_.blobs->put(Context(), digest, Bytes::copy_of(content)));
  return node(path, FileNode{digest, content.size(), executable});
}

TreeBuilder& TreeBuilder::symlink(std::string_view path, std::string target) {
  return node(path, SymlinkNode{must(SymlinkTarget::parse(std::move(target)))});
}

TreeBuilder& TreeBuilder::directory(std::string_view path) {
  folder(path);
  return *this;
}

TreeBuilder& TreeBuilder::node(std::string_view path, Node node) {
  bool is_new = folder(parent_of(path)).try_emplace(std::string(name_of(path)), node).second;
  if (!is_new)
    must(Result<void>(
        fail(ErrorKind::kInvalidArgument, "{} is twice in a test's tree", printable(path))));
  return *this;
}

Node TreeBuilder::build(SizeConvention convention) {
  std::vector<std::string> paths;
  for (const auto& [path, entries] : folders_) paths.push_back(path);
  auto depth = [](const std::string& path) {
    return path.empty() ? 0 : 1 + std::ranges::count(path, '/');
  };
  std::ranges::stable_sort(paths, std::greater<>(), depth);

  for (const std::string& path : paths) {
    DirectoryBuilder builder;
    for (const auto& [name, node] : folders_[path]) must(builder.add(name, node));
    Directory directory = must(builder.build());
    Digest digest = must(services_.directories->put(Context(), directory));
    DirectoryNode made{digest, directory.size(convention)};
    if (path.empty()) return made;
    node(path, made);
  }
  std::unreachable();  // the root is always among them, and last
}

}  // namespace castore::store::testing
