// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "store/blob_service.h"
#include "store/testing/faults.h"

namespace castore::store::testing {

enum class BlobOperation { kHas, kOpen, kReadAt, kPut, kCreate, kAppend, kCommit, kSync, kList };

// Passes everything on to another service, counts the calls, and fails those that `faults` says.
// Readers and writers belong to it and end before it.
class FaultyBlobService final : public BlobService {
 public:
  explicit FaultyBlobService(std::shared_ptr<BlobService> inner) : inner_(std::move(inner)) {}

  Faults<BlobOperation>& faults() { return faults_; }

  Result<bool> has(const Context& ctx, const Digest& digest) override {
    CASTORE_TRY(faults_.count(BlobOperation::kHas));
    return inner_->has(ctx, digest);
  }

  Result<std::unique_ptr<BlobReader>> open(const Context& ctx, const Digest& digest) override {
    CASTORE_TRY(faults_.count(BlobOperation::kOpen));
    auto reader = CASTORE_TRY(inner_->open(ctx, digest));
    if (!reader) return nullptr;
    return std::make_unique<Reader>(faults_, std::move(reader));
  }

  Result<StoredBlob> put(const Context& ctx, const Digest& digest, Bytes bytes) override {
    CASTORE_TRY(faults_.count(BlobOperation::kPut));
    return inner_->put(ctx, digest, std::move(bytes));
  }

  Result<std::unique_ptr<BlobWriter>> create(const Context& ctx) override {
    CASTORE_TRY(faults_.count(BlobOperation::kCreate));
    return std::make_unique<Writer>(faults_, CASTORE_TRY(inner_->create(ctx)));
  }

  Result<void> sync(const Context& ctx) override {
    CASTORE_TRY(faults_.count(BlobOperation::kSync));
    return inner_->sync(ctx);
  }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    CASTORE_TRY(faults_.count(BlobOperation::kList));
    return inner_->list(ctx, visit);
  }

 private:
  class Reader final : public BlobReader {
   public:
    Reader(Faults<BlobOperation>& faults, std::unique_ptr<BlobReader> inner)
        : faults_(faults), inner_(std::move(inner)) {}

    uint64_t size() const override { return inner_->size(); }
    Result<size_t> read_at(const Context& ctx, uint64_t offset, MutableByteView out) override {
      CASTORE_TRY(faults_.count(BlobOperation::kReadAt));
      return inner_->read_at(ctx, offset, out);
    }
    // Not `in_memory`: a failing read must not be passed by.
    bool verified() const override { return inner_->verified(); }

   private:
    Faults<BlobOperation>& faults_;
    std::unique_ptr<BlobReader> inner_;
  };

  class Writer final : public BlobWriter {
   public:
    Writer(Faults<BlobOperation>& faults, std::unique_ptr<BlobWriter> inner)
        : faults_(faults), inner_(std::move(inner)) {}

    Result<void> append(ByteView bytes) override {
      CASTORE_TRY(faults_.count(BlobOperation::kAppend));
      return inner_->append(bytes);
    }
    Result<StoredBlob> commit() override {
      CASTORE_TRY(faults_.count(BlobOperation::kCommit));
      return inner_->commit();
    }

   private:
    Faults<BlobOperation>& faults_;
    std::unique_ptr<BlobWriter> inner_;
  };

  std::shared_ptr<BlobService> inner_;
  Faults<BlobOperation> faults_;
};

}  // namespace castore::store::testing
