// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/guarded.h"
#include "store/blob_service.h"
#include "store/directory_service.h"
#include "store/path_info_service.h"

// Services over a store that something happened to, for tests of what finds out. What a test says
// about an object holds until the end, on every thread.
namespace castore::store::testing {

class DamagedBlobService final : public BlobService {
 public:
  explicit DamagedBlobService(std::shared_ptr<BlobService> inner) : inner_(std::move(inner)) {}

  // Listed still, and gone when it is opened.
  void lose(const Digest& digest) { set(digest, {Damage::Kind::kLost, "", {}}); }
  // Reads as `content`, by a reader that has not compared it with the digest.
  void replace(const Digest& digest, std::string content) {
    set(digest, {Damage::Kind::kReplaced, std::move(content), {}});
  }
  void fail_open(const Digest& digest, Error error) {
    set(digest, {Damage::Kind::kFailing, "", std::move(error)});
  }

  Result<bool> has(const Context& ctx, const Digest& digest) override {
    auto damage = damage_of(digest);
    if (damage && damage->kind == Damage::Kind::kLost) return false;
    return inner_->has(ctx, digest);
  }

  Result<std::unique_ptr<BlobReader>> open(const Context& ctx, const Digest& digest) override {
    auto damage = damage_of(digest);
    if (!damage) return inner_->open(ctx, digest);
    switch (damage->kind) {
      case Damage::Kind::kLost:
        break;
      case Damage::Kind::kReplaced:
        return std::make_unique<Reader>(std::move(damage->content));
      case Damage::Kind::kFailing:
        return std::unexpected(std::move(*damage->error));
    }
    return nullptr;
  }

  Result<StoredBlob> put(const Context& ctx, const Digest& digest, Bytes bytes) override {
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
  struct Damage {
    enum class Kind { kLost, kReplaced, kFailing };
    Kind kind = Kind::kLost;
    std::string content;
    std::optional<Error> error;
  };

  class Reader final : public BlobReader {
   public:
    explicit Reader(std::string content) : content_(std::move(content)) {}

    uint64_t size() const override { return content_.size(); }
    Result<size_t> read_at(const Context&, uint64_t offset, MutableByteView out) override {
      if (offset >= content_.size()) return size_t{0};
      return content_.copy(reinterpret_cast<char*>(out.data()), out.size(),
                           static_cast<size_t>(offset));
    }
    bool verified() const override { return false; }

   private:
    std::string content_;
  };

  void set(const Digest& digest, Damage damage) {
    damages_.lock()->insert_or_assign(digest, std::move(damage));
  }
  std::optional<Damage> damage_of(const Digest& digest) {
    auto damages = damages_.lock();
    auto found = damages->find(digest);
    if (found == damages->end()) return std::nullopt;
    return found->second;
  }

  std::shared_ptr<BlobService> inner_;
  Guarded<std::map<Digest, Damage>> damages_;
};

class DamagedDirectoryService final : public DirectoryService {
 public:
  explicit DamagedDirectoryService(std::shared_ptr<DirectoryService> inner)
      : inner_(std::move(inner)) {}

  // Listed still, and gone when it is asked for.
  void lose(const Digest& digest) { damages_.lock()->insert_or_assign(digest, std::nullopt); }
  void fail_get(const Digest& digest, Error error) {
    damages_.lock()->insert_or_assign(digest, std::move(error));
  }

  Result<std::shared_ptr<const Directory>> get(const Context& ctx, const Digest& digest) override {
    {
      auto damages = damages_.lock();
      if (auto found = damages->find(digest); found != damages->end()) {
        if (!found->second) return nullptr;
        return std::unexpected(*found->second);
      }
    }
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
  Guarded<std::map<Digest, std::optional<Error>>> damages_;
};

class DamagedPathInfoService final : public PathInfoService {
 public:
  explicit DamagedPathInfoService(std::shared_ptr<PathInfoService> inner)
      : inner_(std::move(inner)) {}

  // `get` fails with the error, and `list` hands it to its visitor.
  void damage(const nix::StorePathDigest& digest, Error error) {
    damages_.lock()->insert_or_assign(digest, std::unexpected(std::move(error)));
  }
  // Gives `info` under a digest that need not be its own.
  void replace(const nix::StorePathDigest& digest, nix::PathInfo info) {
    damages_.lock()->insert_or_assign(digest, std::move(info));
  }

  Result<std::optional<nix::PathInfo>> get(const Context& ctx,
                                           const nix::StorePathDigest& digest) override {
    auto damage = damage_of(digest);
    if (!damage) return inner_->get(ctx, digest);
    return CASTORE_TRY(*damage);
  }

  Result<void> put(const Context& ctx, const nix::PathInfo& info) override {
    return inner_->put(ctx, info);
  }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    return inner_->list(ctx, [&](const nix::StorePathDigest& digest, Result<nix::PathInfo> info) {
      auto damage = damage_of(digest);
      return visit(digest, damage ? std::move(*damage) : std::move(info));
    });
  }

 private:
  std::optional<Result<nix::PathInfo>> damage_of(const nix::StorePathDigest& digest) {
    auto damages = damages_.lock();
    auto found = damages->find(digest);
    if (found == damages->end()) return std::nullopt;
    return found->second;
  }

  std::shared_ptr<PathInfoService> inner_;
  Guarded<std::map<nix::StorePathDigest, Result<nix::PathInfo>>> damages_;
};

}  // namespace castore::store::testing
