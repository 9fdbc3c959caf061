// SPDX-License-Identifier: MIT OR Apache-2.0
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"
#include "digest/blake3.h"
#include "model/name.h"
#include "transfer/archive_reader.h"
#include "transfer/archive_source.h"
#include "transfer/archive_tree.h"
#include "transfer/blob_streamer.h"
#include "transfer/ingest.h"
#include "transfer/recall_nar.h"

namespace castore::transfer {
namespace {

// Files up to this size are held in memory; larger ones are streamed.
constexpr uint64_t kMemberInMemoryBytesMax = uint64_t{1} << 20;

// How many replaced members are named one by one in the log.
constexpr uint64_t kWarningsMax = 10;

class ArchiveIngestion {
 public:
  ArchiveIngestion(const Context& ctx, const store::Services& services, const ArchiveBytes& bytes,
                   std::string_view name, const ArchiveLimits& limits, Tally& tally)
      : ctx_(ctx),
        services_(services),
        name_(name),
        content_bytes_left_(limits.content_bytes_max),
        tally_(tally),
        reader_(bytes, limits.unpacked_bytes_max) {}

  Result<Node> run(ArchiveRoot archive_root, SizeConvention size_convention) {
    while (auto member = CASTORE_TRY(reader_.next())) {
      CASTORE_TRY(ctx_.check());
      if (CASTORE_TRY(take(*member)) == ArchiveTree::Placed::kReplaced) warn_replaced(member->path);
    }
    if (replaced_ > kWarningsMax)
      spdlog::warn("{}: {} members took the place of earlier ones", name_, replaced_);
    return tree_.build(ctx_, services_, archive_root, size_convention, tally_);
  }

 private:
  Result<ArchiveTree::Placed> take(ArchiveMember& member) {
    switch (member.kind) {
      case ArchiveMember::Kind::kFolder:
        return tree_.add_folder(member.path);
      case ArchiveMember::Kind::kFile: {
        const FileNode node = CASTORE_TRY_WHILE(store_file(member), "{}", printable(member.path));
        ++tally_.files;
        return tree_.add_file(member.path, node);
      }
      case ArchiveMember::Kind::kSymlink:
        ++tally_.symlinks;
        return tree_.add_symlink(member.path, std::move(member.target));
      case ArchiveMember::Kind::kHardLink:
        ++tally_.files;
        return tree_.add_hard_link(member.path, member.target);
    }
    std::unreachable();
  }

  Result<FileNode> store_file(const ArchiveMember& member) {
    if (member.size > content_bytes_left_)
      return fail(ErrorKind::kExhausted, "the files of the archive are larger than is allowed");
    content_bytes_left_ -= member.size;
    const store::StoredBlob stored = CASTORE_TRY(
        member.size <= kMemberInMemoryBytesMax ? put_small(member.size) : stream_large());
    if (stored.size != member.size)
      return fail(ErrorKind::kCorrupt, "{} bytes were announced, {} came", member.size,
                  stored.size);
    tally_.count_blob(stored.is_new, stored.size);
    return FileNode{stored.digest, stored.size, member.executable};
  }

  Result<store::StoredBlob> put_small(uint64_t size) {
    auto buffer = std::make_shared_for_overwrite<std::byte[]>(static_cast<size_t>(size));
    const size_t length = CASTORE_TRY(reader_.read({buffer.get(), static_cast<size_t>(size)}));
    const ByteView view(buffer.get(), length);
    tally_.bytes += length;
    return services_.blobs->put(ctx_, blake3(view), Bytes(std::move(buffer), view));
  }

  Result<store::StoredBlob> stream_large() {
    if (!streamer_) streamer_.emplace();
    return streamer_->store(
        ctx_, *services_.blobs, [this](MutableByteView out) { return reader_.read(out); },
        [this](ByteView bytes) -> Result<void> {
          tally_.bytes += bytes.size();
          return {};
        });
  }

  void warn_replaced(std::string_view path) {
    if (++replaced_ <= kWarningsMax)
      spdlog::warn("{}: {} occurs more than once; the later one counts", name_, printable(path));
  }

  const Context& ctx_;
  const store::Services& services_;
  const std::string_view name_;
  uint64_t content_bytes_left_;
  Tally& tally_;
  ArchiveReader reader_;
  ArchiveTree tree_;
  std::optional<BlobStreamer> streamer_;
  uint64_t replaced_ = 0;
};

// Reads a descriptor that may have nothing to give for long, as a pipe or a terminal, and is woken
// when a stop is requested.
class StoppableInput {
 public:
  StoppableInput(const Context& ctx, int fd)
      : ctx_(ctx), fd_(fd), wake_(::eventfd(0, EFD_CLOEXEC)), on_stop_(ctx.stop, [this] {
          const uint64_t one = 1;
          (void)!::write(wake_.get(), &one, sizeof one);
        }) {}

  Result<size_t> read(MutableByteView out) {
    for (;;) {
      CASTORE_TRY(ctx_.check());
      struct pollfd waits[] = {{.fd = fd_, .events = POLLIN, .revents = 0},
                               {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
      if (::poll(waits, std::size(waits), -1) < 0 && errno != EINTR)
        return std::unexpected(Error::from_errno(errno, "waiting for input"));
      if (waits[0].revents == 0) continue;
      const ssize_t length = ::read(fd_, out.data(), out.size());
      if (length >= 0) return static_cast<size_t>(length);
      if (errno != EINTR && errno != EAGAIN)
        return std::unexpected(Error::from_errno(errno, "reading"));
    }
  }

 private:
  const Context& ctx_;
  const int fd_;
  const UniqueFd wake_;
  std::stop_callback<std::move_only_function<void()>> on_stop_;
};

}  // namespace

Result<Ingested> ingest_archive_bytes(const Context& ctx, const store::Services& services,
                                      const ArchiveBytes& bytes, std::string_view name,
                                      ArchiveRoot archive_root, const IngestOptions& options,
                                      const ArchiveLimits& limits, Tally& tally) {
  ArchiveIngestion ingestion(ctx, services, bytes, name, limits, tally);
  Ingested ingested{.root = CASTORE_TRY_WHILE(ingestion.run(archive_root, options.size_convention),
                                              "reading archive {}", name),
                    .nar = {}};
  if (options.compute_nar) ingested.nar = CASTORE_TRY(recall_nar(ctx, services, ingested.root));
  return ingested;
}

Result<Ingested> ingest_archive(const Context& ctx, const store::Services& services, int fd,
                                std::string_view name, ArchiveRoot archive_root,
                                const IngestOptions& options, Tally& tally) {
  StoppableInput input(ctx, fd);
  return ingest_archive_bytes(
      ctx, services, [&input](MutableByteView out) { return input.read(out); }, name, archive_root,
      options, ArchiveLimits{}, tally);
}

}  // namespace castore::transfer
