// SPDX-License-Identifier: MIT OR Apache-2.0
// Open directories and their entries.
#include <utility>

#include "fs/filesystem.h"
#include "fs/filesystem_state.h"
#include "fs/inode_numbers.h"

namespace castore::fs {
namespace {

ListedEntry listed(std::string_view name, uint64_t next_offset, const NodeContent& content) {
  return {name, next_offset, content.type,
          inode_number(content.type, content.executable, content.digest)};
}

// Entries by position, out of a directory or of a listing of the root.
struct Source {
  std::shared_ptr<const Directory> directory;
  std::shared_ptr<const RootListing> root;

  // Calls `visit` with each entry from `offset` on and the offset behind it, until it says false.
  template <typename Visit>
  void visit_from(uint64_t offset, Visit visit) const {
    const uint64_t count = directory ? directory->entry_count() : root->entry_count();
    for (uint64_t i = offset; i < count; ++i)
      if (directory) {
        if (!visit(directory->entry(static_cast<size_t>(i)), i + 1)) return;
      } else {
        NamedNode named = root->entry(static_cast<size_t>(i));
        if (!visit(entry_view(named), i + 1)) return;
      }
  }
};

// Directories below the root never change, so that an offset alone says where to go on; only a
// root whose names come and go needs the listing that its handle keeps.
FsResult<Source> open_source(const Context& ctx, auto& state, NodeId node, HandleId handle) {
  if (node == kRootNode && !state.options.list_root) return std::unexpected(Fault::kNotPermitted);
  const bool needs_handle = node == kRootNode && !state.fixed_root;
  std::shared_ptr<OpenDirectory> open;
  if (handle != kNoHandle || needs_handle) {
    open = state.open_directories.find(handle);
    if (!open || open->node != node) return std::unexpected(Fault::kIo);
  }
  if (!needs_handle) return Source{CASTORE_TRY(state.directory_of(ctx, node)), nullptr};
  return Source{nullptr, CASTORE_TRY(state.root_listing_of(ctx, *open))};
}

}  // namespace

std::shared_ptr<const RootListing> Filesystem::State::hold(RootListing listing) {
  const size_t bytes = listing.bytes();
  const bool is_only_one = root_listings.fetch_add(1) == 0;
  const bool has_room = handle_bytes.fetch_add(bytes) + bytes <= options.handle_bytes_max;
  auto give_back = [this, bytes] {
    handle_bytes.fetch_sub(bytes);
    root_listings.fetch_sub(1);
  };
  if (!has_room && !is_only_one) {
    give_back();
    return nullptr;
  }
  return {new RootListing(std::move(listing)), [give_back](const RootListing* held) {
            delete held;
            give_back();
          }};
}

FsResult<std::shared_ptr<const RootListing>> Filesystem::State::root_listing_of(
    const Context& ctx, OpenDirectory& open) {
  if (auto listing = *open.root.lock()) return listing;
  auto entries = root->list(ctx);
  if (!entries)
    return std::unexpected(report(ctx, std::move(entries).error().context("listing the root")));
  RootListing fresh(*entries);
  auto listing = last_root_listing.lock()->lock();
  if (!listing || *listing != fresh) {
    listing = hold(std::move(fresh));
    if (!listing) {
      report(ctx, Error(ErrorKind::kExhausted,
                        "listing the root: too much is kept for folders and files that are open"));
      return std::unexpected(Fault::kTooMuchHeld);
    }
    *last_root_listing.lock() = listing;
  }
  auto kept = open.root.lock();
  if (!*kept) *kept = std::move(listing);  // else another thread of the same handle was first
  return *kept;
}

FsResult<HandleId> Filesystem::open_directory(const Context&, NodeId node) {
  if (node != kRootNode) {
    auto content = state_->nodes.find(node);
    if (!content) return std::unexpected(Fault::kNoEntry);
    if (content->type != FileType::kDirectory) return std::unexpected(Fault::kNotDirectory);
  } else if (!state_->options.list_root) {
    return std::unexpected(Fault::kNotPermitted);
  }
  return state_->open_directories.add(std::make_shared<OpenDirectory>(node));
}

FsResult<void> Filesystem::list(const Context& ctx, NodeId node, HandleId handle, uint64_t offset,
                                const Take& take) {
  Source source = CASTORE_TRY(open_source(ctx, *state_, node, handle));
  source.visit_from(offset, [&](const DirectoryEntry& entry, uint64_t next_offset) {
    return take(listed(entry.name, next_offset, content_of(entry)));
  });
  return {};
}

FsResult<void> Filesystem::list_plus(const Context& ctx, NodeId node, HandleId handle,
                                     uint64_t offset, const TakePlus& take) {
  Source source = CASTORE_TRY(open_source(ctx, *state_, node, handle));
  source.visit_from(offset, [&](const DirectoryEntry& entry, uint64_t next_offset) {
    KnownNode known = source.root ? state_->acquire_in_root(entry) : state_->acquire(node, entry);
    bool taken = take(listed(entry.name, next_offset, known.content), state_->entry_of(known));
    if (!taken) state_->release(known.id, 1);
    return taken;
  });
  return {};
}

void Filesystem::release_directory(HandleId handle) {
  state_->open_directories.remove(handle);
}

}  // namespace castore::fs
