// SPDX-License-Identifier: MIT OR Apache-2.0
// Open files and their content.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "fs/filesystem.h"
#include "fs/filesystem_state.h"

namespace castore::fs {
namespace {

// A blob that is not as long as the directories say cannot be shown: the kernel goes by the size it
// was told.
Result<std::shared_ptr<OpenFile>> open_blob(const Context& ctx, store::BlobService& blobs,
                                            const Digest& digest, uint64_t size) {
  auto reader = CASTORE_TRY(blobs.open(ctx, digest));
  if (!reader) return fail(ErrorKind::kNotFound, "the store does not have it");
  auto file = std::make_shared<OpenFile>();
  file->in_memory = reader->in_memory();
  file->digest = digest;
  file->size = size;
  uint64_t stored_size = file->in_memory ? file->in_memory->size() : reader->size();
  if (stored_size != size)
    return fail(ErrorKind::kCorrupt, "it has {} bytes, and its directory says {}", stored_size,
                size);
  file->reader = std::move(reader);
  return file;
}

Result<void> read_exactly(OpenFile& file, uint64_t offset, MutableByteView out) {
  size_t n = CASTORE_TRY(file.reader->read_at(offset, out));
  if (n != out.size()) return fail(ErrorKind::kCorrupt, "only {} bytes came", n);
  return {};
}

}  // namespace

FsResult<HandleId> Filesystem::open(const Context& ctx, NodeId node) {
  if (node == kRootNode) return std::unexpected(Fault::kIsDirectory);
  auto content = state_->nodes.find(node);
  if (!content) return std::unexpected(Fault::kNoEntry);
  if (content->type != FileType::kRegular) return std::unexpected(Fault::kIsDirectory);
  auto file = open_blob(ctx, *state_->blobs, content->digest, content->size);
  if (!file)
    return std::unexpected(state_->report(
        ctx, std::move(file).error().context(fmt::format("opening blob {}", content->digest))));
  return state_->open_files.add(std::move(*file));
}

FsResult<ReadBytes> Filesystem::read(const Context& ctx, HandleId handle, uint64_t offset,
                                     size_t size, MutableByteView scratch) {
  auto file = state_->open_files.find(handle);
  if (!file) return std::unexpected(Fault::kIo);
  if (offset >= file->size) return ReadBytes{};
  size = static_cast<size_t>(std::min<uint64_t>(size, file->size - offset));
  if (file->in_memory) {
    Bytes bytes = file->in_memory->slice(static_cast<size_t>(offset), size);
    ByteView view = bytes.view();
    return ReadBytes{view, std::move(bytes)};
  }
  CASTORE_CHECK(scratch.size() >= size, "no room to read to");
  MutableByteView out = scratch.first(size);
  auto done = ctx.check();
  if (done) done = read_exactly(*file, offset, out);
  if (!done)
    return std::unexpected(
        state_->report(ctx, std::move(done).error().context(fmt::format(
                                "reading {} bytes at {} of blob {}", size, offset, file->digest))));
  return ReadBytes{out, {}};
}

FsResult<uint64_t> Filesystem::seek(const Context&, HandleId handle, uint64_t offset,
                                    SeekFor what) {
  auto file = state_->open_files.find(handle);
  if (!file) return std::unexpected(Fault::kIo);
  if (offset >= file->size) return std::unexpected(Fault::kBeyondEnd);
  return what == SeekFor::kData ? offset : file->size;
}

void Filesystem::release(HandleId handle) {
  state_->open_files.remove(handle);
}

}  // namespace castore::fs
