// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/filesystem.h"

#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "digest/blake3.h"
#include "fs/filesystem_state.h"
#include "fs/inode_numbers.h"
#include "model/name.h"

namespace castore::fs {
namespace {

constexpr uint32_t kLogLinesPerSecond = 10;
constexpr uint64_t kNodesGoneBetweenLooks = 4096;
// A kernel that has forgotten all it could may still need some: working folders, say.
constexpr uint64_t kNodesNearlyNone = 64;

FileType type_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::kDirectory:
      return FileType::kDirectory;
    case NodeKind::kFile:
      return FileType::kRegular;
    case NodeKind::kSymlink:
      break;
  }
  return FileType::kSymlink;
}

uint16_t permissions_of(const NodeContent& content) {
  bool executable = content.type == FileType::kDirectory || content.executable;
  return executable ? 0555 : 0444;
}

Fault fault_of(const Context& ctx, ErrorKind kind) {
  bool in_time = ctx.deadline > std::chrono::steady_clock::now();
  switch (kind) {
    case ErrorKind::kCancelled:
      return ctx.stop_requested() || in_time ? Fault::kInterrupted : Fault::kTimedOut;
    case ErrorKind::kWouldWait:
      return Fault::kWouldWait;
    case ErrorKind::kUnavailable:
      return in_time ? Fault::kIo : Fault::kTimedOut;
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kNotFound:
    case ErrorKind::kCorrupt:
    case ErrorKind::kDenied:
    case ErrorKind::kExhausted:
    case ErrorKind::kUnsupported:
    case ErrorKind::kInternal:
      return Fault::kIo;
  }
  return Fault::kIo;
}

}  // namespace

DirectoryEntry entry_view(const NamedNode& named) {
  DirectoryEntry entry;
  entry.name = named.name;
  entry.kind = kind_of(named.node);
  if (auto* directory = std::get_if<DirectoryNode>(&named.node)) {
    entry.digest = directory->digest;
    entry.size = directory->size;
  } else if (auto* file = std::get_if<FileNode>(&named.node)) {
    entry.digest = file->digest;
    entry.size = file->size;
    entry.executable = file->executable;
  } else {
    entry.target = std::get<SymlinkNode>(named.node).target.text();
  }
  return entry;
}

NodeContent content_of(const DirectoryEntry& entry) {
  FileType type = type_of(entry.kind);
  if (type == FileType::kSymlink) return {type, false, entry.target.size(), blake3(entry.target)};
  return {type, entry.executable, entry.size, entry.digest};
}

Filesystem::State::State(std::shared_ptr<ContentCache> content_in,
                         std::shared_ptr<RootProvider> root_in, FilesystemOptions options_in)
    : options(options_in),
      root(std::move(root_in)),
      fixed_root(root->fixed()),
      cache(std::move(content_in)),
      log_limit(kLogLinesPerSecond) {}

Attributes Filesystem::State::attributes_of(const NodeContent& content) const {
  return {
      .inode = inode_number(content.type, content.executable, content.digest),
      .type = content.type,
      .permissions = permissions_of(content),
      .size = content.size,
      .blocks = content.size / 512 + (content.size % 512 != 0),
      .link_count = 1,
      .uid = options.uid,
      .gid = options.gid,
      .mtime_s = options.mtime_s,
  };
}

Attributes Filesystem::State::root_attributes() const {
  Attributes attributes = attributes_of({FileType::kDirectory, false, 0, Digest()});
  attributes.inode = kRootInodeNumber;
  return attributes;
}

FsResult<std::shared_ptr<const Directory>> Filesystem::State::directory_of(const Context& ctx,
                                                                           NodeId node) {
  if (node == kRootNode) return fixed_root;
  auto content = nodes.find(node);
  if (!content) return std::unexpected(Fault::kNoEntry);
  if (content->type != FileType::kDirectory) return std::unexpected(Fault::kNotDirectory);
  auto directory = cache->directories.get(ctx, content->digest);
  if (directory && *directory) return *directory;
  Error error = directory ? Error(ErrorKind::kNotFound, "the store does not have it")
                          : std::move(directory).error();
  return std::unexpected(
      report(ctx, std::move(error).context(
                      fmt::format("reading {} (directory {})", path_of(node), content->digest))));
}

KnownNode Filesystem::State::acquire(NodeId parent, const DirectoryEntry& entry) {
  switch (entry.kind) {
    case NodeKind::kDirectory:
      return nodes.acquire_directory(parent, entry.name, entry.digest, entry.size);
    case NodeKind::kFile:
      return nodes.acquire_file(entry.digest, entry.size, entry.executable);
    case NodeKind::kSymlink:
      break;
  }
  return nodes.acquire_symlink(entry.target);
}

std::optional<KnownNode> Filesystem::State::acquire_known_in_root(std::string_view name) {
  if (auto directory = nodes.acquire_place(kRootNode, name)) return directory;
  auto id = root_names.find(name);
  // The node may be gone since: then the name is as good as new.
  if (!id) return std::nullopt;
  return nodes.acquire_node(*id);
}

KnownNode Filesystem::State::acquire_in_root(const DirectoryEntry& entry) {
  if (auto known = acquire_known_in_root(entry.name)) return *known;
  KnownNode node = acquire(kRootNode, entry);
  if (entry.kind != NodeKind::kDirectory) root_names.remember(entry.name, node.id);
  return node;
}

void Filesystem::State::release(NodeId node, uint64_t count) {
  if (!nodes.release(node, count)) return;
  root_names.forget(node);
  // The nodes give back their memory by themselves. What is left is what was fetched on behalf of a
  // crowd that has gone.
  const uint64_t left = nodes.count();
  const bool many_gone = ++nodes_gone % kNodesGoneBetweenLooks == 0;
  if (left <= kNodesNearlyNone || (many_gone && left <= 2 * kNodesGoneBetweenLooks))
    cache->give_back_unshared(RateLimit::Clock::now());
}

std::string Filesystem::State::path_of(NodeId node) {
  std::vector<std::string> names;
  while (node != kRootNode) {
    auto place = nodes.place_of(node);
    if (!place) {
      names.emplace_back("...");  // the kernel has forgotten this one
      break;
    }
    names.push_back(printable(place->name));
    node = place->parent;
  }
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) path.append("/").append(*name);
  return path.empty() ? "/" : path;
}

Fault Filesystem::State::report(const Context& ctx, const Error& error) {
  Fault fault = fault_of(ctx, error.kind());
  if (fault == Fault::kWouldWait) return fault;
  if (fault == Fault::kInterrupted) {
    spdlog::debug("{}", error.message());
    return fault;
  }
  if (auto left_out = log_limit.allow(RateLimit::Clock::now())) {
    if (*left_out > 0) spdlog::error("{} errors of the mount were left out here", *left_out);
    spdlog::error("{}", error.message());
  }
  return fault;
}

Filesystem::Filesystem(std::shared_ptr<ContentCache> content, std::shared_ptr<RootProvider> root,
                       FilesystemOptions options)
    : state_(std::make_unique<State>(std::move(content), std::move(root), options)) {}

Filesystem::Filesystem(std::shared_ptr<store::BlobService> blobs,
                       std::shared_ptr<store::DirectoryService> directories,
                       std::shared_ptr<RootProvider> root, FilesystemOptions options)
    : Filesystem(std::make_shared<ContentCache>(std::move(blobs), std::move(directories),
                                                ContentCache::Options()),
                 std::move(root), options) {}

Filesystem::~Filesystem() = default;

FsResult<Entry> Filesystem::lookup(const Context& ctx, NodeId parent, std::string_view name) {
  if (check_name(name)) return std::unexpected(Fault::kNoEntry);
  if (parent == kRootNode && !state_->fixed_root) {
    if (auto known = state_->acquire_known_in_root(name)) return state_->entry_of(*known);
    auto found = state_->root->lookup(ctx, name);
    if (!found)
      return std::unexpected(state_->report(
          ctx, std::move(found).error().context(fmt::format("looking up /{}", printable(name)))));
    if (!*found) return std::unexpected(Fault::kNoEntry);
    NamedNode named{std::string(name), std::move(**found)};
    return state_->entry_of(state_->acquire_in_root(entry_view(named)));
  }
  auto directory = CASTORE_TRY(state_->directory_of(ctx, parent));
  auto entry = directory->lookup(name);
  if (!entry) return std::unexpected(Fault::kNoEntry);
  return state_->entry_of(state_->acquire(parent, *entry));
}

void Filesystem::forget(NodeId node, uint64_t count) {
  state_->release(node, count);
}

FsResult<Attributes> Filesystem::attributes(const Context&, NodeId node) {
  if (node == kRootNode) return state_->root_attributes();
  auto content = state_->nodes.find(node);
  if (!content) return std::unexpected(Fault::kNoEntry);
  return state_->attributes_of(*content);
}

FsResult<std::string> Filesystem::readlink(const Context&, NodeId node) {
  if (auto target = state_->nodes.symlink_target(node)) return std::move(*target);
  bool is_known = node == kRootNode || state_->nodes.find(node);
  return std::unexpected(is_known ? Fault::kInvalid : Fault::kNoEntry);
}

std::string Filesystem::describe(NodeId node) {
  if (node == kRootNode) return "/";
  const auto content = state_->nodes.find(node);
  if (!content) return "what the kernel has forgotten";
  if (content->type == FileType::kDirectory)
    return fmt::format("{} (directory {})", state_->path_of(node), content->digest);
  return fmt::format("blob {}", content->digest);
}

bool Filesystem::root_changes() const {
  return state_->options.list_root && !state_->fixed_root;
}

uint64_t Filesystem::node_count() const {
  return state_->nodes.count();
}

uint64_t Filesystem::handle_count() const {
  return state_->open_files.count() + state_->open_directories.count();
}

Totals Filesystem::totals() {
  return {.nodes = node_count(),
          .node_bytes = state_->nodes.bytes(),
          .handles = handle_count(),
          .handle_bytes = state_->handle_bytes.load(),
          .directories = state_->cache->directories.use(),
          .blobs = state_->cache->blobs.use()};
}

}  // namespace castore::fs
