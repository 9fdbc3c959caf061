// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/context.h"
#include "base/guarded.h"
#include "base/result.h"
#include "store/blob_service.h"

namespace castore::store::testing {

// Holds callers while it is closed. Open at first.
class Gate {
 public:
  void close() { state_.lock()->closed = true; }

  void open() {
    state_.lock()->closed = false;
    changed_.notify_all();
  }

  // Returns at once when the gate is open, else when it opens: whatever deadline or stop the caller
  // has. Who does not want to wait is sent away.
  Result<void> pass(const Context& ctx) {
    auto state = state_.lock();
    if (!state->closed) return {};
    if (!ctx.may_wait) return fail(ErrorKind::kWouldWait, "a closed gate");
    ++state->held;
    changed_.notify_all();
    state.wait(changed_, [&] { return !state->closed; });
    --state->held;
    return {};
  }

  // Returns once `count` callers stand before the closed gate.
  void wait_until_held(size_t count) {
    auto state = state_.lock();
    state.wait(changed_, [&] { return state->closed && state->held >= count; });
  }

 private:
  struct State {
    bool closed = false;
    size_t held = 0;
  };

  Guarded<State> state_;
  std::condition_variable changed_;
};

// Passes everything on to another service, through a gate a test can close before `open`, `put`
// and `read_at`. Readers belong to it and end before it.
class GatedBlobService final : public BlobService {
 public:
  explicit GatedBlobService(std::shared_ptr<BlobService> inner) : inner_(std::move(inner)) {}

  Gate& open_gate() { return open_gate_; }
  Gate& read_gate() { return read_gate_; }
  Gate& put_gate() { return put_gate_; }

  Result<bool> has(const Context& ctx, const Digest& digest) override {
    return inner_->has(ctx, digest);
  }

  Result<std::unique_ptr<BlobReader>> open(const Context& ctx, const Digest& digest) override {
    CASTORE_TRY(open_gate_.pass(ctx));
    auto reader = CASTORE_TRY(inner_->open(ctx, digest));
    if (!reader) return nullptr;
    return std::make_unique<Reader>(read_gate_, std::move(reader));
  }

  Result<StoredBlob> put(const Context& ctx, const Digest& digest, Bytes bytes) override {
    CASTORE_TRY(put_gate_.pass(ctx));
    return inner_->put(ctx, digest, std::move(bytes));
  }

  Result<std::unique_ptr<BlobWriter>> create(const Context& ctx) override {
    return inner_->create(ctx);
  }

  Result<void> sync(const Context& ctx) override { return inner_->sync(ctx); }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    return inner_->list(ctx, visit);
  }

 private:
  class Reader final : public BlobReader {
   public:
    Reader(Gate& gate, std::unique_ptr<BlobReader> inner) : gate_(gate), inner_(std::move(inner)) {}

    uint64_t size() const override { return inner_->size(); }
    Result<size_t> read_at(const Context& ctx, uint64_t offset, MutableByteView out) override {
      CASTORE_TRY(gate_.pass(ctx));
      return inner_->read_at(ctx, offset, out);
    }
    // Not `in_memory`: each read comes to the gate.
    bool verified() const override { return inner_->verified(); }

   private:
    Gate& gate_;
    std::unique_ptr<BlobReader> inner_;
  };

  std::shared_ptr<BlobService> inner_;
  Gate open_gate_;
  Gate read_gate_;
  Gate put_gate_;
};

}  // namespace castore::store::testing
