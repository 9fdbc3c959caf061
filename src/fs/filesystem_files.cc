// SPDX-License-Identifier: MIT OR Apache-2.0
// Files and their content.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "fs/filesystem.h"
#include "fs/filesystem_state.h"

namespace castore::fs {

FsResult<BlobCache::Entry> Filesystem::State::blob_of(const Context& ctx, const Digest& digest,
                                                      uint64_t size) {
  auto blob = cache->blobs.get(ctx, digest, size);
  if (blob && *blob) return *blob;
  Error error =
      blob ? Error(ErrorKind::kNotFound, "the store does not have it") : std::move(blob).error();
  return std::unexpected(
      report(ctx, std::move(error).context(fmt::format("opening blob {}", digest))));
}

FsResult<BlobCache::Entry> Filesystem::State::blob_of(const Context& ctx, NodeId node) {
  if (node == kRootNode) return std::unexpected(Fault::kIsDirectory);
  auto content = nodes.find(node);
  if (!content) return std::unexpected(Fault::kNoEntry);
  if (content->type != FileType::kRegular) return std::unexpected(Fault::kIsDirectory);
  return blob_of(ctx, content->digest, content->size);
}

FsResult<BlobCache::Entry> Filesystem::State::blob_of(const Context& ctx, NodeId node,
                                                      HandleId handle) {
  if (handle == kNoHandle) return blob_of(ctx, node);
  auto open = open_files.find(handle);
  if (!open) return std::unexpected(Fault::kIo);
  return open->blob ? open->blob : blob_of(ctx, open->digest, open->size);
}

FsResult<HandleId> Filesystem::open(const Context& ctx, NodeId node) {
  auto blob = CASTORE_TRY(state_->blob_of(ctx, node));
  OpenFile open{node, blob->digest, blob->size, std::move(blob)};
  const size_t bytes = open.blob->bytes();
  if (state_->handle_bytes.fetch_add(bytes) + bytes > state_->options.handle_bytes_max) {
    state_->handle_bytes.fetch_sub(bytes);
    open.blob.reset();
  }
  return state_->open_files.add(std::make_shared<const OpenFile>(std::move(open)));
}

FsResult<ReadBytes> Filesystem::read(const Context& ctx, NodeId node, HandleId handle,
                                     uint64_t offset, size_t size, MutableByteView scratch,
                                     bool range_will_do) {
  auto blob = CASTORE_TRY(state_->blob_of(ctx, node, handle));
  if (offset >= blob->size) return ReadBytes{};
  size = static_cast<size_t>(std::min<uint64_t>(size, blob->size - offset));
  if (blob->in_memory) {
    // The kernel keeps what it has read, so who has read to the end will hardly come again.
    if (handle == kNoHandle && offset + size == blob->size &&
        !state_->cache->options.several_kernels)
      state_->cache->blobs.drop(blob->digest);
    Bytes bytes = blob->in_memory->slice(static_cast<size_t>(offset), size);
    ByteView view = bytes.view();
    return ReadBytes{view, std::move(bytes), {}};
  }
  if (range_will_do && blob->file) {
    const int fd = *blob->file;
    return ReadBytes{{}, {}, FileRange{{fd, std::move(blob)}, offset, size}};
  }
  CASTORE_CHECK(scratch.size() >= size, "no room to read to");
  MutableByteView out = scratch.first(size);
  auto done = ctx.check();
  if (done) done = blob->read_exactly(ctx, offset, out);
  if (!done)
    return std::unexpected(
        state_->report(ctx, std::move(done).error().context(fmt::format(
                                "reading {} bytes at {} of blob {}", size, offset, blob->digest))));
  return ReadBytes{out, {}, {}};
}

FsResult<uint64_t> Filesystem::seek(const Context&, NodeId node, HandleId handle, uint64_t offset,
                                    SeekFor what) {
  uint64_t size = 0;
  if (handle != kNoHandle) {
    auto open = state_->open_files.find(handle);
    if (!open) return std::unexpected(Fault::kIo);
    size = open->size;
  } else {
    auto content = state_->nodes.find(node);
    if (!content) return std::unexpected(Fault::kNoEntry);
    if (content->type != FileType::kRegular) return std::unexpected(Fault::kInvalid);
    size = content->size;
  }
  if (offset >= size) return std::unexpected(Fault::kBeyondEnd);
  return what == SeekFor::kData ? offset : size;
}

std::optional<BackingFile> Filesystem::backing_file(HandleId handle) {
  auto open = state_->open_files.find(handle);
  if (!open || !open->blob || !open->blob->file) return std::nullopt;
  return BackingFile{*open->blob->file, open->blob};
}

std::optional<NodeId> Filesystem::release(HandleId handle) {
  auto open = state_->open_files.remove(handle);
  if (!open) return std::nullopt;
  if (open->blob) state_->handle_bytes.fetch_sub(open->blob->bytes());
  return open->node;
}

}  // namespace castore::fs
