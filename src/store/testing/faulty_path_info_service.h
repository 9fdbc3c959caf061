// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "store/path_info_service.h"
#include "store/testing/faults.h"

namespace castore::store::testing {

enum class PathInfoOperation { kGet, kPut, kList };

// As FaultyBlobService.
class FaultyPathInfoService final : public PathInfoService {
 public:
  explicit FaultyPathInfoService(std::shared_ptr<PathInfoService> inner)
      : inner_(std::move(inner)) {}

  Faults<PathInfoOperation>& faults() { return faults_; }

  Result<std::optional<nix::PathInfo>> get(const Context& ctx,
                                           const nix::StorePathDigest& digest) override {
    CASTORE_TRY(faults_.count(PathInfoOperation::kGet));
    return inner_->get(ctx, digest);
  }

  Result<void> put(const Context& ctx, const nix::PathInfo& info) override {
    CASTORE_TRY(faults_.count(PathInfoOperation::kPut));
    return inner_->put(ctx, info);
  }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    CASTORE_TRY(faults_.count(PathInfoOperation::kList));
    return inner_->list(ctx, visit);
  }

 private:
  std::shared_ptr<PathInfoService> inner_;
  Faults<PathInfoOperation> faults_;
};

}  // namespace castore::store::testing
