// SPDX-License-Identifier: MIT OR Apache-2.0
#include <algorithm>
#include <vector>

#include "backends/local/local_state.h"
#include "backends/local/records.h"

namespace castore::backends::local {
namespace {

class LocalPathInfoService final : public store::PathInfoService {
 public:
  explicit LocalPathInfoService(std::shared_ptr<LocalState> state) : state_(std::move(state)) {}

  Result<std::optional<nix::PathInfo>> get(const Context&,
                                           const nix::StorePathDigest& digest) override {
    Database::Reader reader = CASTORE_TRY(state_->database->read());
    auto value = CASTORE_TRY(reader.get(Table::kPathInfos, digest.bytes()));
    if (!value) return std::nullopt;
    return CASTORE_TRY(decode_path_info_record(digest, *value));
  }

  Result<void> put(const Context&, const nix::PathInfo& info) override {
    CASTORE_TRY(state_->queue.add_record(Table::kPathInfos,
                                         std::string(text_of(info.store_path.digest().bytes())),
                                         encode_path_info_record(info)));
    return state_->queue.sync();
  }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    // The database orders keys from the first byte, store paths are ordered from the last.
    std::vector<nix::StorePathDigest> digests;
    CASTORE_TRY(scan_all(ctx, *state_->database, Table::kPathInfos,
                         [&](ByteView key, ByteView) -> Result<void> {
                           auto digest = nix::StorePathDigest::from_bytes(key);
                           if (digest)
                             digests.push_back(*digest);  // else for `inspect_database` to name
                           return {};
                         }));
    std::ranges::sort(digests);
    for (const nix::StorePathDigest& digest : digests) {
      CASTORE_TRY(ctx.check());
      auto info = get(ctx, digest);
      if (!info) {
        CASTORE_TRY(visit(digest, std::unexpected(std::move(info).error())));
      } else if (*info) {
        CASTORE_TRY(visit(digest, std::move(**info)));
      }
    }
    return {};
  }

 private:
  std::shared_ptr<LocalState> state_;
};

}  // namespace

std::shared_ptr<store::PathInfoService> make_path_info_service(std::shared_ptr<LocalState> state) {
  return std::make_shared<LocalPathInfoService>(std::move(state));
}

}  // namespace castore::backends::local
