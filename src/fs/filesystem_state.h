// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "base/guarded.h"
#include "fs/content_cache.h"
#include "fs/filesystem.h"
#include "fs/inode_table.h"
#include "fs/open_files.h"
#include "fs/rate_limit.h"
#include "fs/root_listing.h"
#include "fs/root_names.h"
#include "model/directory.h"

// What the parts of Filesystem share. Internal to fs/.
//
// Locks. Every lock is inside one of the members: one of each inode table shard, of the root's
// names, of the caches and of their fetches, of each handle table, of the last listing, of
// the rate limit. All of them are leaves: none is held while another is taken, while a service or
// the root's provider is asked, while a caller's `take` runs, or while a log line is written. What
// needs two of them in turn is written so that any change in between does no harm.
namespace castore::fs {

struct Filesystem::State {
  State(std::shared_ptr<ContentCache> content_in, std::shared_ptr<RootProvider> root_in,
        FilesystemOptions options_in);

  const FilesystemOptions options;
  const std::shared_ptr<RootProvider> root;
  const std::shared_ptr<const Directory> fixed_root;  // null where names come and go

  InodeTable nodes;
  RootNames root_names;
  const ContentCache::Share cache;
  std::atomic<HandleId> last_handle = 0;
  HandleTable<const OpenFile> open_files{last_handle};
  // What handles hold of blobs, and of listings of the root; these once, however many share one.
  std::atomic<size_t> handle_bytes = 0;
  std::atomic<size_t> root_listings = 0;
  HandleTable<OpenDirectory> open_directories{last_handle};
  // For handles opened while the root stays as it is to share one listing.
  Guarded<std::weak_ptr<const RootListing>> last_root_listing;
  RateLimit log_limit;
  std::atomic<uint64_t> nodes_gone = 0;

  Attributes attributes_of(const NodeContent& content) const;
  Attributes root_attributes() const;
  Entry entry_of(const KnownNode& node) const { return {node.id, attributes_of(node.content)}; }

  FsResult<BlobCache::Entry> blob_of(const Context& ctx, const Digest& digest, uint64_t size);
  // The content of a regular file.
  FsResult<BlobCache::Entry> blob_of(const Context& ctx, NodeId node);
  // The same of one that is open, or may not be.
  FsResult<BlobCache::Entry> blob_of(const Context& ctx, NodeId node, HandleId handle);

  // The directory that a node stands for.
  FsResult<std::shared_ptr<const Directory>> directory_of(const Context& ctx, NodeId node);

  // What a handle of a root where names come and go lists.
  FsResult<std::shared_ptr<const RootListing>> root_listing_of(const Context& ctx,
                                                               OpenDirectory& open);

  // Counts it among what handles hold for as long as it lives. Null where there is no room; the
  // only listing always has room, as a large root could not be listed otherwise.
  std::shared_ptr<const RootListing> hold(RootListing listing);

  // The node of an entry below `parent`, with one reference more.
  KnownNode acquire(NodeId parent, const DirectoryEntry& entry);
  // The same for the root where names come and go: a name keeps the node it has.
  KnownNode acquire_in_root(const DirectoryEntry& entry);
  std::optional<KnownNode> acquire_known_in_root(std::string_view name);
  void release(NodeId node, uint64_t count);

  // For people: where a directory node stands in the mount.
  std::string path_of(NodeId node);

  // Writes a line to the log and says how the call fails.
  Fault report(const Context& ctx, const Error& error);
};

// The entry as a view into `named`.
DirectoryEntry entry_view(const NamedNode& named);

NodeContent content_of(const DirectoryEntry& entry);

}  // namespace castore::fs
