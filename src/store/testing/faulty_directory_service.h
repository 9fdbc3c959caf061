// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "store/directory_service.h"
#include "store/testing/faults.h"

namespace castore::store::testing {

enum class DirectoryOperation { kGet, kPut, kSync, kList };

// As FaultyBlobService.
class FaultyDirectoryService final : public DirectoryService {
 public:
  explicit FaultyDirectoryService(std::shared_ptr<DirectoryService> inner)
      : inner_(std::move(inner)) {}

  Faults<DirectoryOperation>& faults() { return faults_; }

  Result<std::shared_ptr<const Directory>> get(const Context& ctx, const Digest& digest) override {
    CASTORE_TRY(faults_.count(DirectoryOperation::kGet));
    return inner_->get(ctx, digest);
  }

  Result<Digest> put(const Context& ctx, const Directory& directory) override {
    CASTORE_TRY(faults_.count(DirectoryOperation::kPut));
    return inner_->put(ctx, directory);
  }

  Result<void> sync(const Context& ctx) override {
    CASTORE_TRY(faults_.count(DirectoryOperation::kSync));
    return inner_->sync(ctx);
  }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    CASTORE_TRY(faults_.count(DirectoryOperation::kList));
    return inner_->list(ctx, visit);
  }

 private:
  std::shared_ptr<DirectoryService> inner_;
  Faults<DirectoryOperation> faults_;
};

}  // namespace castore::store::testing
