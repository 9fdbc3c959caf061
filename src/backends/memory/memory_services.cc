// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/memory/memory_services.h"

#include <algorithm>
#include <map>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "digest/blake3.h"
#include "store/memory_blob_reader.h"

namespace castore::backends {
namespace {

using store::BlobReader;
using store::BlobWriter;
using store::StoredBlob;

class MemoryBlobService final : public store::BlobService {
 public:
  Result<bool> has(const Context&, const Digest& digest) override {
    if (digest == store::empty_digest()) return true;
    std::shared_lock lock(mutex_);
    return blobs_.contains(digest);
  }

  Result<std::unique_ptr<BlobReader>> open(const Context&, const Digest& digest) override {
    if (digest == store::empty_digest()) return store::memory_blob_reader(Bytes());
    std::shared_lock lock(mutex_);
    auto found = blobs_.find(digest);
    if (found == blobs_.end()) return nullptr;
    return store::memory_blob_reader(found->second);
  }

  Result<StoredBlob> put(const Context&, const Digest& digest, Bytes bytes) override {
    uint64_t size = bytes.size();
    if (digest == store::empty_digest()) return StoredBlob{digest, 0, false};
    std::unique_lock lock(mutex_);
    bool is_new = blobs_.try_emplace(digest, std::move(bytes)).second;
    return StoredBlob{digest, size, is_new};
  }

  Result<std::unique_ptr<BlobWriter>> create(const Context&) override {
    return std::make_unique<Writer>(*this);
  }

  Result<void> sync(const Context&) override { return {}; }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    std::vector<std::pair<Digest, uint64_t>> all;
    {
      std::shared_lock lock(mutex_);
      all.reserve(blobs_.size());
      for (const auto& [digest, bytes] : blobs_) all.emplace_back(digest, bytes.size());
    }
    for (const auto& [digest, size] : all) {
      CASTORE_TRY(ctx.check());
      CASTORE_TRY(visit(digest, size));
    }
    return {};
  }

 private:
  class Writer final : public BlobWriter {
   public:
    explicit Writer(MemoryBlobService& service) : service_(service) {}

    Result<void> append(ByteView bytes) override {
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
      return {};
    }

    Result<StoredBlob> commit() override {
      Digest digest = blake3(bytes_);
      return service_.put(Context(), digest, Bytes::take(std::move(bytes_)));
    }

   private:
    MemoryBlobService& service_;
    std::vector<std::byte> bytes_;
  };

  std::shared_mutex mutex_;
  std::unordered_map<Digest, Bytes> blobs_;
};

class MemoryDirectoryService final : public store::DirectoryService {
 public:
  Result<std::shared_ptr<const Directory>> get(const Context&, const Digest& digest) override {
    if (digest == store::empty_digest()) return std::make_shared<const Directory>();
    std::shared_lock lock(mutex_);
    auto found = directories_.find(digest);
    return found == directories_.end() ? nullptr : found->second;
  }

  Result<Digest> put(const Context&, const Directory& directory) override {
    Digest digest = directory.digest();
    if (digest == store::empty_digest()) return digest;
    std::unique_lock lock(mutex_);
    auto [place, is_new] = directories_.try_emplace(digest);
    if (is_new) place->second = std::make_shared<const Directory>(directory);
    return digest;
  }

  Result<void> sync(const Context&) override { return {}; }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    std::vector<Digest> all;
    {
      std::shared_lock lock(mutex_);
      all.reserve(directories_.size());
      for (const auto& entry : directories_) all.push_back(entry.first);
    }
    for (const Digest& digest : all) {
      CASTORE_TRY(ctx.check());
      CASTORE_TRY(visit(digest));
    }
    return {};
  }

 private:
  std::shared_mutex mutex_;
  std::unordered_map<Digest, std::shared_ptr<const Directory>> directories_;
};

class MemoryPathInfoService final : public store::PathInfoService {
 public:
  Result<std::optional<nix::PathInfo>> get(const Context&,
                                           const nix::StorePathDigest& digest) override {
    std::shared_lock lock(mutex_);
    auto found = infos_.find(digest);
    if (found == infos_.end()) return std::nullopt;
    return found->second;
  }

  Result<void> put(const Context&, const nix::PathInfo& info) override {
    std::unique_lock lock(mutex_);
    infos_.insert_or_assign(info.store_path.digest(), info);
    return {};
  }

  Result<void> list(const Context& ctx, const Visitor& visit) override {
    std::map<nix::StorePathDigest, nix::PathInfo> all;
    {
      std::shared_lock lock(mutex_);
      all = infos_;
    }
    for (auto& [digest, info] : all) {
      CASTORE_TRY(ctx.check());
      CASTORE_TRY(visit(digest, std::move(info)));
    }
    return {};
  }

 private:
  std::shared_mutex mutex_;
  std::map<nix::StorePathDigest, nix::PathInfo> infos_;
};

}  // namespace

std::shared_ptr<store::BlobService> memory_blob_service() {
  return std::make_shared<MemoryBlobService>();
}
std::shared_ptr<store::DirectoryService> memory_directory_service() {
  return std::make_shared<MemoryDirectoryService>();
}
std::shared_ptr<store::PathInfoService> memory_path_info_service() {
  return std::make_shared<MemoryPathInfoService>();
}

store::Services memory_services() {
  return {memory_blob_service(), memory_directory_service(), memory_path_info_service(), nullptr,
          nullptr};
}

}  // namespace castore::backends
