// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/root.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fs/rate_limit.h"
#include "nix/store_path.h"

namespace castore::fs {
namespace {

constexpr uint32_t kLogLinesPerSecond = 10;

class PathInfoRoot final : public RootProvider {
 public:
  explicit PathInfoRoot(std::shared_ptr<store::PathInfoService> path_infos)
      : path_infos_(std::move(path_infos)) {}

  Result<std::optional<Node>> lookup(const Context& ctx, std::string_view name) override {
    auto path = nix::StorePath::parse(name);
    if (!path) return std::nullopt;
    auto info = CASTORE_TRY(path_infos_->get(ctx, path->digest()));
    // The service goes by the digest alone.
    if (!info || info->store_path != *path) return std::nullopt;
    return std::move(info->node);
  }

  // A damaged record does not hide the others: it is left out, and the log says so.
  Result<std::vector<NamedNode>> list(const Context& ctx) override {
    std::vector<NamedNode> entries;
    CASTORE_TRY(path_infos_->list(
        ctx, [&](const nix::StorePathDigest& digest, Result<nix::PathInfo> info) -> Result<void> {
          if (!info && info.error().kind() == ErrorKind::kCorrupt) {
            report(digest, info.error());
            return {};
          }
          auto intact =
              CASTORE_TRY_WHILE(std::move(info), "reading the record of {}", digest.to_text());
          entries.push_back({intact.store_path.base_name(), std::move(intact.node)});
          return {};
        }));
    std::ranges::sort(entries, {}, &NamedNode::name);
    return entries;
  }

 private:
  void report(const nix::StorePathDigest& digest, const Error& error) {
    auto left_out = log_limit_.allow(RateLimit::Clock::now());
    if (!left_out) return;
    if (*left_out > 0) spdlog::error("{} damaged records were not named here", *left_out);
    spdlog::error("the root is listed without the record of {}: {}", digest.to_text(),
                  error.message());
  }

  const std::shared_ptr<store::PathInfoService> path_infos_;
  RateLimit log_limit_{kLogLinesPerSecond};
};

class DirectoryRoot final : public RootProvider {
 public:
  explicit DirectoryRoot(std::shared_ptr<const Directory> directory)
      : directory_(std::move(directory)) {}

  Result<std::optional<Node>> lookup(const Context&, std::string_view name) override {
    auto entry = directory_->lookup(name);
    if (!entry) return std::nullopt;
    return entry->to_node();
  }

  Result<std::vector<NamedNode>> list(const Context&) override {
    std::vector<NamedNode> entries;
    entries.reserve(directory_->entry_count());
    for (size_t i = 0; i < directory_->entry_count(); ++i) {
      DirectoryEntry entry = directory_->entry(i);
      entries.push_back({std::string(entry.name), entry.to_node()});
    }
    return entries;
  }

  std::shared_ptr<const Directory> fixed() override { return directory_; }

 private:
  const std::shared_ptr<const Directory> directory_;
};

class MapRoot final : public RootProvider {
 public:
  explicit MapRoot(std::map<std::string, Node> nodes)
      : nodes_(std::make_move_iterator(nodes.begin()), std::make_move_iterator(nodes.end())) {}

  Result<std::optional<Node>> lookup(const Context&, std::string_view name) override {
    auto found = nodes_.find(name);
    if (found == nodes_.end()) return std::nullopt;
    return found->second;
  }

  Result<std::vector<NamedNode>> list(const Context&) override {
    std::vector<NamedNode> entries;
    entries.reserve(nodes_.size());
    for (const auto& [name, node] : nodes_) entries.push_back({name, node});
    return entries;
  }

 private:
  const std::map<std::string, Node, std::less<>> nodes_;
};

}  // namespace

std::shared_ptr<RootProvider> path_info_root(std::shared_ptr<store::PathInfoService> path_infos) {
  return std::make_shared<PathInfoRoot>(std::move(path_infos));
}

std::shared_ptr<RootProvider> directory_root(std::shared_ptr<const Directory> directory) {
  return std::make_shared<DirectoryRoot>(std::move(directory));
}

std::shared_ptr<RootProvider> map_root(std::map<std::string, Node> nodes) {
  return std::make_shared<MapRoot>(std::move(nodes));
}

}  // namespace castore::fs
