// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/verify.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transfer/findings.h"
#include "transfer/render_nar.h"
#include "transfer/task_group.h"
#include "transfer/tree_check.h"

namespace castore::transfer {
namespace {

constexpr size_t kQueuedTasksMax = 64;

std::string path_object(const nix::StorePath& path) {
  return "path " + path.absolute();
}
// For a record whose name is not known.
std::string path_object(const nix::StorePathDigest& digest) {
  return fmt::format("path {}/{}", nix::kStoreDir, digest.to_text());
}

// The part of a check that is about the records of store paths.
class PathCheck {
 public:
  // All must live until the tasks are finished.
  PathCheck(const Context& ctx, const store::Services& services, Findings& findings)
      : ctx_(ctx), services_(services), findings_(findings) {}

  // A node, and the paths that have it for their content.
  struct Root {
    Node node;
    std::string described;  // one of the paths
    std::vector<nix::StorePathDigest> paths;
  };

  Result<std::vector<Root>> list_roots() {
    std::vector<Root> roots;
    std::unordered_map<std::string, size_t> index_of_node;
    auto visit = [&](const nix::StorePathDigest& digest,
                     Result<nix::PathInfo> info) -> Result<void> {
      if (!info)
        return findings_.report_error(path_object(digest), std::move(info).error(), digest);
      if (info->store_path.digest() != digest) {
        findings_.report(
            FindingKind::kMisnamed, path_object(digest),
            fmt::format("the record kept there is that of {}", info->store_path.absolute()),
            digest);
        return {};
      }
      auto [found, is_new] = index_of_node.try_emplace(encode_entry("", info->node), roots.size());
      if (is_new) roots.push_back({info->node, info->store_path.absolute(), {}});
      roots[found->second].paths.push_back(digest);
      return {};
    };
    CASTORE_TRY_WHILE(services_.path_infos->list(ctx_, visit), "listing the registered paths");
    return roots;
  }

  // Renders the NAR of a root once, and compares each record with it.
  Result<void> check_root(const Root& root) {
    auto nar = CASTORE_TRY(summarize(root.node));
    for (const nix::StorePathDigest& digest : root.paths) {
      auto info = services_.path_infos->get(ctx_, digest);
      if (!info)
        CASTORE_TRY(findings_.report_error(path_object(digest), std::move(info).error(), digest));
      else if (*info)
        CASTORE_TRY(check_record(**info, nar));
    }
    return {};
  }

  Result<void> check_path(const nix::PathInfo& info) {
    return check_record(info, CASTORE_TRY(summarize(info.node)));
  }

 private:
  // A NAR, or why the stored tree does not make one.
  using Summary = std::expected<store::NarSummary, std::string>;

  Result<Summary> summarize(const Node& node) {
    auto nar = summarize_nar(ctx_, services_, node);
    if (nar) return Summary(*nar);
    const ErrorKind kind = nar.error().kind();
    if (kind == ErrorKind::kUnavailable || kind == ErrorKind::kExhausted ||
        kind == ErrorKind::kCancelled)
      return std::unexpected(std::move(nar).error().context("hashing a NAR"));
    return Summary(std::unexpected(nar.error().message()));
  }

  Result<void> check_record(const nix::PathInfo& info, const Summary& nar) {
    const std::string object = path_object(info.store_path);
    if (!nar) {
      findings_.report(FindingKind::kCorrupt, object, "its content is damaged: " + nar.error());
    } else if (nar->size != info.nar_size || nar->sha256 != info.nar_sha256) {
      findings_.report(
          FindingKind::kCorrupt, object,
          fmt::format("its record says that its NAR has {} bytes and hash {}, and it has {} and {}",
                      info.nar_size, to_sri(info.nar_sha256), nar->size, to_sri(nar->sha256)));
    } else if (info.content_address) {
      CASTORE_TRY(check_content_address(info, *info.content_address, object));
    }
    return check_references(info);
  }

  // Of the ways to derive a path from content, this is the one that `castore import` uses. For the
  // others there is no content here to compare with.
  Result<void> check_content_address(const nix::PathInfo& info, const nix::ContentAddress& address,
                                     const std::string& object) {
    if (address.kind != nix::ContentAddress::Kind::kNarSha256) return {};
    Sha256 hash;
    if (address.digest.size() != hash.size()) {
      findings_.report(FindingKind::kCorrupt, object,
                       fmt::format("its content address has {} bytes", address.digest.size()));
      return {};
    }
    std::ranges::copy(address.digest, hash.begin());
    std::vector<nix::StorePath> references = info.references;
    const bool refers_to_itself = std::erase(references, info.store_path) > 0;
    std::ranges::sort(references, {}, &nix::StorePath::digest);
    // The hash of what contains its own path is taken with that path blotted out.
    if (!refers_to_itself && hash != info.nar_sha256) {
      findings_.report(FindingKind::kCorrupt, object,
                       fmt::format("its content address is {}, and its NAR hashes to {}",
                                   to_sri(hash), to_sri(info.nar_sha256)));
      return {};
    }
    const nix::StorePath actual = CASTORE_TRY(
        nix::store_path_of_nar(hash, info.store_path.name(), references, refers_to_itself));
    if (actual != info.store_path)
      findings_.report(FindingKind::kMisnamed, object,
                       fmt::format("by its content it is {}", actual.absolute()));
    return {};
  }

  Result<void> check_references(const nix::PathInfo& info) {
    for (const nix::StorePath& reference : info.references) {
      if (reference == info.store_path) continue;
      auto found = services_.path_infos->get(ctx_, reference.digest());
      if (!found)
        CASTORE_TRY(findings_.report_error(path_object(reference.digest()),
                                           std::move(found).error(), reference.digest()));
      else if (!*found)
        findings_.report(FindingKind::kMissing, path_object(reference),
                         fmt::format("{} refers to it", info.store_path.absolute()));
    }
    return {};
  }

  const Context& ctx_;
  const store::Services& services_;
  Findings& findings_;
};

}  // namespace

std::string_view to_string(FindingKind kind) {
  switch (kind) {
    case FindingKind::kCorrupt:
      return "corrupt";
    case FindingKind::kMissing:
      return "missing";
    case FindingKind::kMisnamed:
      return "misnamed";
    case FindingKind::kUnreadable:
      return "unreadable";
  }
  return "unknown";
}

Result<bool> verify_store(const Context& ctx, const store::Services& services,
                          const OnFinding& on_finding, Tally& tally) {
  Findings findings(on_finding);
  TaskGroup tasks("verify", kQueuedTasksMax);
  TreeCheck trees(ctx, services, findings, tally, tasks);
  PathCheck paths(ctx, services, findings);
  auto check = [&]() -> Result<void> {
    CASTORE_TRY(trees.check_all_blobs());
    // Registered trees before the other directories: what is missing is then named by its path.
    std::vector<PathCheck::Root> roots = CASTORE_TRY(paths.list_roots());
    for (const PathCheck::Root& root : roots)
      CASTORE_TRY(trees.check_tree(root.node, root.described, "path " + root.described));
    CASTORE_TRY(trees.check_all_directories());
    for (PathCheck::Root& root : roots)
      tasks.submit([&paths, root = std::move(root)] { return paths.check_root(root); });
    return {};
  };
  CASTORE_TRY(tasks.finish(check()));
  return findings.none();
}

Result<bool> verify_tree(const Context& ctx, const store::Services& services, const Node& root,
                         std::string_view described, const OnFinding& on_finding, Tally& tally) {
  Findings findings(on_finding);
  TaskGroup tasks("verify", kQueuedTasksMax);
  TreeCheck trees(ctx, services, findings, tally, tasks);
  const std::string place(described);
  CASTORE_TRY(tasks.finish(trees.check_tree(root, place, place)));
  return findings.none();
}

Result<bool> verify_path(const Context& ctx, const store::Services& services,
                         const nix::PathInfo& info, const OnFinding& on_finding, Tally& tally) {
  Findings findings(on_finding);
  TaskGroup tasks("verify", kQueuedTasksMax);
  TreeCheck trees(ctx, services, findings, tally, tasks);
  PathCheck paths(ctx, services, findings);
  const std::string path = info.store_path.absolute();
  auto check = [&]() -> Result<void> {
    CASTORE_TRY(trees.check_tree(info.node, path, path_object(info.store_path)));
    tasks.submit([&] { return paths.check_path(info); });
    return {};
  };
  CASTORE_TRY(tasks.finish(check()));
  return findings.none();
}

}  // namespace castore::transfer
