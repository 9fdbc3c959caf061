// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <latch>
#include <vector>

#include "backends/local/local_state.h"
#include "backends/local/local_store.h"
#include "backends/local/records.h"
#include "base/check.h"
#include "base/file.h"
#include "digest/blake3.h"
#include "store/memory_blob_reader.h"

namespace castore::backends::local {
namespace {

using store::BlobReader;
using store::BlobWriter;
using store::StoredBlob;

// Appends of at least this much are hashed on all cores while they are written.
constexpr size_t kParallelBytesMin = 2 << 20;

// The disk is told to begin after this much, so that the flush at the end finds little to do.
constexpr uint64_t kWritebackBytes = 8 << 20;

// Bytes go to the page cache in pieces of this much, as cp writes them. A larger write is given
// larger pages, which take several times as long to come by where the machine is a virtual one
// whose free memory is given back to its host (measured: 4 GiB by pieces of 1 MiB 7 to 15 s, of
// 128 KiB 3 to 7 s).
constexpr size_t kWritePieceBytes = 128 << 10;

Result<void> write_in_pieces(int fd, uint64_t offset, ByteView bytes, std::string_view where) {
  while (!bytes.empty()) {
    ByteView piece = bytes.first(std::min(bytes.size(), kWritePieceBytes));
    CASTORE_TRY(write_at(fd, offset, piece, where));
    offset += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

// Reads a large blob from its file. The descriptor may be shared with one that is still unnamed.
class FileBlobReader final : public BlobReader {
 public:
  FileBlobReader(std::string name, UniqueFd fd, uint64_t size)
      : name_(std::move(name)), fd_(std::move(fd)), size_(size) {}
  FileBlobReader(std::string name, WriteQueue::File pending)
      : name_(std::move(name)), pending_(std::move(pending)), size_(pending_->size) {}

  uint64_t size() const override { return size_; }

  Result<size_t> read_at(const Context&, uint64_t offset, MutableByteView out) override {
    if (offset >= size_) return size_t{0};
    size_t length = static_cast<size_t>(std::min<uint64_t>(out.size(), size_ - offset));
    int fd = pending_ ? pending_->file.fd.get() : fd_.get();
    return castore::read_at(fd, offset, out.first(length), name_);
  }

  std::optional<int> file() const override {
    return pending_ ? pending_->file.fd.get() : fd_.get();
  }

  // Hashing gigabytes at each open would cost more than the read. Readers of the whole check.
  bool verified() const override { return false; }

 private:
  std::string name_;
  UniqueFd fd_;
  WriteQueue::File pending_;
  uint64_t size_;
};

class LocalBlobWriter final : public BlobWriter {
 public:
  LocalBlobWriter(std::shared_ptr<LocalState> state, store::BlobService& service)
      : state_(std::move(state)), service_(service) {}

  Result<void> append(ByteView bytes) override {
    if (!file_ && small_.size() + bytes.size() <= kPackedBlobBytesMax) {
      small_.insert(small_.end(), bytes.begin(), bytes.end());
      return {};
    }
    if (!file_) {
      file_.emplace(CASTORE_TRY(state_->files.create()));
      std::vector<std::byte> begun = std::exchange(small_, {});
      CASTORE_TRY(append_to_file(begun));
    }
    return append_to_file(bytes);
  }

  Result<std::optional<int>> share_blocks_of(int source_fd) override {
    CASTORE_CHECK(!file_ && small_.empty(), "blocks are shared before anything is appended");
    UnnamedFile file = CASTORE_TRY(state_->files.create());
    // Whatever the reason (another filesystem, one that cannot share), copying still works.
    if (::ioctl(file.fd.get(), FICLONE, source_fd) != 0) return std::nullopt;
    file_.emplace(std::move(file));
    shared_ = true;
    return file_->fd.get();
  }

  Result<StoredBlob> commit() override {
    if (shared_) {
      auto status = CASTORE_TRY(stat_fd(file_->fd.get(), "a new blob"));
      if (static_cast<uint64_t>(status.st_size) != size_)
        return fail(ErrorKind::kInternal, "{} bytes of a shared file of {} were appended", size_,
                    status.st_size);
    }
    if (!file_) {
      Digest digest = blake3(small_);
      return service_.put(Context(), digest, Bytes::take(std::move(small_)));
    }
    StoredBlob stored{hasher_.finish(), size_, false};
    if (CASTORE_TRY(service_.has(Context(), stored.digest))) return stored;
    stored.is_new = CASTORE_TRY(state_->queue.add_file(stored.digest, {std::move(*file_), size_}));
    return stored;
  }

 private:
  Result<void> append_to_file(ByteView bytes) {
    std::string_view where = "a new blob";
    if (shared_) {
      hasher_.update_parallel(bytes, state_->hashing);
      size_ += bytes.size();
      return {};
    }
    if (bytes.size() < kParallelBytesMin) {
      hasher_.update(bytes);
      CASTORE_TRY(write_in_pieces(file_->fd.get(), size_, bytes, where));
    } else {
      Result<void> written;
      std::latch done(1);
      state_->hashing.submit([&] {
        written = write_in_pieces(file_->fd.get(), size_, bytes, where);
        done.count_down();
      });
      hasher_.update_parallel(bytes, state_->hashing);
      done.wait();
      CASTORE_TRY(std::move(written));
    }
    size_ += bytes.size();
    if (size_ - writeback_begun_ >= kWritebackBytes) {
      // A hint; whatever it answers, the flush at the end decides.
      ::sync_file_range(file_->fd.get(), static_cast<off_t>(writeback_begun_),
                        static_cast<off_t>(size_ - writeback_begun_), SYNC_FILE_RANGE_WRITE);
      writeback_begun_ = size_;
    }
    return {};
  }

  std::shared_ptr<LocalState> state_;
  store::BlobService& service_;
  std::vector<std::byte> small_;     // until it is too large for the database
  std::optional<UnnamedFile> file_;  // from then on
  bool shared_ = false;              // its content is there already
  Blake3Hasher hasher_;
  uint64_t size_ = 0;
  uint64_t writeback_begun_ = 0;
};

class LocalBlobService final : public store::BlobService {
 public:
  explicit LocalBlobService(std::shared_ptr<LocalState> state) : state_(std::move(state)) {}

  Result<bool> has(const Context&, const Digest& digest) override {
    if (digest == store::empty_digest() || state_->queue.has_blob(digest)) return true;
    std::optional<ObjectRecord> record;
    {
      Database::Reader reader = CASTORE_TRY(state_->database->read());
      auto value = CASTORE_TRY(reader.get(Table::kBlobs, digest.bytes()));
      if (value) record = decode_object_record(*value);
    }
    // A blob whose record or file is damaged is not there, so that storing it again mends it.
    if (!record) return false;
    if (record->pack != 0) return record->size <= kPackedBlobBytesMax;
    return state_->files.has_blob(digest, record->size);
  }

  Result<std::unique_ptr<BlobReader>> open(const Context&, const Digest& digest) override {
    if (digest == store::empty_digest()) return store::memory_blob_reader(Bytes());
    if (auto pending = state_->queue.find_blob(digest)) {
      if (!pending->place) return store::memory_blob_reader(std::move(pending->bytes));
      return read_packed(digest, *pending->place);
    }
    if (auto file = state_->queue.find_file(digest))
      return std::make_unique<FileBlobReader>(name_of(digest), *file);

    ObjectRecord record;
    {
      Database::Reader reader = CASTORE_TRY(state_->database->read());
      auto value = CASTORE_TRY(reader.get(Table::kBlobs, digest.bytes()));
      if (!value) return nullptr;
      auto decoded = decode_object_record(*value);
      if (!decoded || (decoded->pack != 0 && decoded->size > kPackedBlobBytesMax))
        return fail(ErrorKind::kCorrupt, "blob {}: its index record is damaged", digest);
      record = *decoded;
    }
    if (record.pack != 0) return read_packed(digest, record);
    return open_file_of(digest, record);
  }

  Result<StoredBlob> put(const Context& ctx, const Digest& digest, Bytes bytes) override {
    StoredBlob stored{digest, bytes.size(), false};
    if (CASTORE_TRY(has(ctx, digest))) return stored;
    if (bytes.size() > kPackedBlobBytesMax) {
      auto writer = CASTORE_TRY(create(ctx));
      CASTORE_TRY(writer->append(bytes.view()));
      return writer->commit();
    }
    stored.is_new = CASTORE_TRY(state_->queue.add_blob(digest, std::move(bytes)));
    return stored;
  }

  Result<std::unique_ptr<BlobWriter>> create(const Context&) override {
    return std::make_unique<LocalBlobWriter>(state_, *this);
  }

  Result<void> sync(const Context&) override { return state_->queue.sync(); }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    CASTORE_TRY(state_->queue.sync());
    return scan_all(ctx, *state_->database, Table::kBlobs,
                    [&](ByteView key, ByteView value) -> Result<void> {
                      auto digest = Digest::from_bytes(key);
                      if (!digest) return {};  // for `inspect_database` to name
                      auto record = decode_object_record(value);
                      return visit(*digest, record ? record->size : 0);
                    });
  }

 private:
  std::string name_of(const Digest& digest) const {
    return fmt::format("blob {} ({})", digest, state_->files.path_of(digest));
  }

  Result<std::unique_ptr<BlobReader>> read_packed(const Digest& digest, const ObjectRecord& place) {
    Bytes bytes = CASTORE_TRY_WHILE(state_->packs.read(place), "blob {}", digest);
    if (Digest actual = blake3(bytes.view()); actual != digest)
      return fail(ErrorKind::kCorrupt, "blob {}: its stored bytes hash to {}", digest, actual);
    return store::memory_blob_reader(std::move(bytes));
  }

  Result<std::unique_ptr<BlobReader>> open_file_of(const Digest& digest,
                                                   const ObjectRecord& record) const {
    auto fd = CASTORE_TRY_WHILE(state_->files.open_blob(digest), "blob {}", digest);
    if (!fd)
      return fail(ErrorKind::kCorrupt, "blob {}: its file {} is gone", digest,
                  state_->files.path_of(digest));
    auto status = CASTORE_TRY(stat_fd(fd->get(), name_of(digest)));
    if (static_cast<uint64_t>(status.st_size) != record.size)
      return fail(ErrorKind::kCorrupt, "blob {}: its file {} has {} bytes, the index says {}",
                  digest, state_->files.path_of(digest), status.st_size, record.size);
    return std::make_unique<FileBlobReader>(name_of(digest), std::move(*fd), record.size);
  }

  std::shared_ptr<LocalState> state_;
};

}  // namespace

std::shared_ptr<store::BlobService> make_blob_service(std::shared_ptr<LocalState> state) {
  return std::make_shared<LocalBlobService>(std::move(state));
}

}  // namespace castore::backends::local
