// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "store/directory_service.h"
#include "store/testing/gated_blob_service.h"

namespace castore::store::testing {

// Passes everything on to another service, `get` through a gate that a test can close.
class GatedDirectoryService final : public DirectoryService {
 public:
  explicit GatedDirectoryService(std::shared_ptr<DirectoryService> inner)
      : inner_(std::move(inner)) {}
  Gate& gate() { return gate_; }

  Result<std::shared_ptr<const Directory>> get(const Context& ctx, const Digest& digest) override {
    CASTORE_TRY(gate_.pass(ctx));
    return inner_->get(ctx, digest);
  }
  Result<Digest> put(const Context& ctx, const Directory& directory) override {
    return inner_->put(ctx, directory);
  }
  Result<void> sync(const Context& ctx) override { return inner_->sync(ctx); }
  Result<void> list(const Context& ctx, const Visitor& visit) override {
    return inner_->list(ctx, visit);
  }

 private:
  std::shared_ptr<DirectoryService> inner_;
  Gate gate_;
};

}  // namespace castore::store::testing
