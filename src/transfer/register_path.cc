// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/check.h"
#include "nix/store_path.h"
#include "transfer/ingest.h"

namespace castore::transfer {

Result<nix::PathInfo> register_path(const Context& ctx, const store::Services& services,
                                    std::string_view name, const Ingested& ingested) {
  CASTORE_CHECK(ingested.nar.has_value(), "a path is registered by the hash of its NAR");
  const store::NarSummary& nar = *ingested.nar;
  nix::PathInfo info{
      .store_path = CASTORE_TRY(nix::store_path_of_nar(nar.sha256, name)),
      .node = ingested.root,
      .nar_size = nar.size,
      .nar_sha256 = nar.sha256,
      .content_address = nix::ContentAddress{.kind = nix::ContentAddress::Kind::kNarSha256,
                                             .digest = {nar.sha256.begin(), nar.sha256.end()}},
  };
  // The record may live in another store than what it refers to.
  CASTORE_TRY(services.sync(ctx));
  CASTORE_TRY_WHILE(services.path_infos->put(ctx, info), "registering {}",
                    info.store_path.absolute());
  return info;
}

}  // namespace castore::transfer
