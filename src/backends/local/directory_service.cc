// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/local_state.h"
#include "backends/local/records.h"
#include "digest/blake3.h"
#include "store/memory_blob_reader.h"

namespace castore::backends::local {
namespace {

std::optional<ObjectRecord> decode_place(ByteView value) {
  auto place = decode_object_record(value);
  if (!place || place->pack == 0 || place->size > kDirectoryBytesMax) return std::nullopt;
  return place;
}

class LocalDirectoryService final : public store::DirectoryService {
 public:
  explicit LocalDirectoryService(std::shared_ptr<LocalState> state) : state_(std::move(state)) {}

  Result<std::shared_ptr<const Directory>> get(const Context&, const Digest& digest) override {
    if (digest == store::empty_digest()) return std::make_shared<const Directory>();
    auto encoded = CASTORE_TRY_WHILE(find(digest), "directory {}", digest);
    if (!encoded) return nullptr;
    if (Digest actual = blake3(encoded->view()); actual != digest)
      return fail(ErrorKind::kCorrupt, "directory {}: its stored bytes hash to {}", digest, actual);
    auto directory = Directory::decode(std::move(*encoded));
    if (!directory)
      return std::unexpected(Error(directory.error()).context(fmt::format("directory {}", digest)));
    return std::make_shared<const Directory>(std::move(*directory));
  }

  Result<Digest> put(const Context&, const Directory& directory) override {
    Digest digest = directory.digest();
    if (digest == store::empty_digest() || state_->queue.has_directory(digest)) return digest;
    {
      Database::Reader reader = CASTORE_TRY(state_->database->read());
      auto value = CASTORE_TRY(reader.get(Table::kDirectories, digest.bytes()));
      // A damaged record is none, so that storing the directory again mends it.
      if (value && decode_place(*value)) return digest;
    }
    CASTORE_TRY(state_->queue.add_directory(digest, directory.encoded()));
    return digest;
  }

  Result<void> sync(const Context&) override { return state_->queue.sync(); }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    CASTORE_TRY(state_->queue.sync());
    return scan_all(ctx, *state_->database, Table::kDirectories,
                    [&](ByteView key, ByteView) -> Result<void> {
                      auto digest = Digest::from_bytes(key);
                      if (!digest) return {};  // for `inspect_database` to name
                      return visit(*digest);
                    });
  }

 private:
  Result<std::optional<Bytes>> find(const Digest& digest) {
    auto pending = state_->queue.find_directory(digest);
    if (pending && !pending->place) return std::move(pending->bytes);
    std::optional<ObjectRecord> place;
    if (pending) {
      place = pending->place;
    } else {
      Database::Reader reader = CASTORE_TRY(state_->database->read());
      auto value = CASTORE_TRY(reader.get(Table::kDirectories, digest.bytes()));
      if (!value) return std::nullopt;
      place = decode_place(*value);
      if (!place) return fail(ErrorKind::kCorrupt, "its index record is damaged");
    }
    return CASTORE_TRY(state_->packs.read(*place));
  }

  std::shared_ptr<LocalState> state_;
};

}  // namespace

std::shared_ptr<store::DirectoryService> make_directory_service(std::shared_ptr<LocalState> state) {
  return std::make_shared<LocalDirectoryService>(std::move(state));
}

}  // namespace castore::backends::local
