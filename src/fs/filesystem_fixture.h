// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/memory/memory_services.h"
#include "base/guarded.h"
#include "fs/filesystem.h"
#include "model/name.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/faulty_directory_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/gated_blob_service.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"

// For the tests of fs/.
namespace castore::fs {

// Names in the root as peers' tests have them.
inline std::string root_name(char digit) {
  return std::string(32, digit) + "-test";
}

// A listed entry that outlives the listing.
struct SeenEntry {
  std::string name;
  uint64_t next_offset = 0;
  FileType type = FileType::kRegular;
  uint64_t inode = 0;
};

inline std::vector<std::string> names_of(const std::vector<SeenEntry>& entries) {
  std::vector<std::string> names;
  for (const SeenEntry& entry : entries) names.push_back(entry.name);
  return names;
}

// A root that a test may change while it is mounted, and that counts what it is asked.
class ChangingRoot final : public RootProvider {
 public:
  void set(const std::string& name, Node node) {
    state_.lock()->nodes.insert_or_assign(name, std::move(node));
  }
  void remove(const std::string& name) { state_.lock()->nodes.erase(name); }
  void fail_with(Error error) { state_.lock()->error = std::move(error); }
  uint64_t lookups() { return state_.lock()->lookups; }

  Result<std::optional<Node>> lookup(const Context&, std::string_view name) override {
    auto state = state_.lock();
    ++state->lookups;
    if (state->error) return std::unexpected(*state->error);
    auto found = state->nodes.find(name);
    if (found == state->nodes.end()) return std::nullopt;
    return found->second;
  }
  Result<std::vector<NamedNode>> list(const Context&) override {
    auto state = state_.lock();
    if (state->error) return std::unexpected(*state->error);
    std::vector<NamedNode> entries;
    for (const auto& [name, node] : state->nodes) entries.push_back({name, node});
    return entries;
  }

 private:
  struct State {
    std::map<std::string, Node, std::less<>> nodes;
    std::optional<Error> error;
    uint64_t lookups = 0;
  };
  Guarded<State> state_;
};

class FilesystemTest : public ::testing::Test {
 protected:
  FilesystemTest() {
    store::Services memory = backends::memory_services();
    blobs_ = std::make_shared<store::testing::FaultyBlobService>(memory.blobs);
    gated_blobs_ = std::make_shared<store::testing::GatedBlobService>(blobs_);
    directories_ = std::make_shared<store::testing::FaultyDirectoryService>(memory.directories);
    services_ = {blobs_, directories_, memory.path_infos, nullptr, nullptr};
    mount();
  }

  // Begins anew with other options. What is in the root stays.
  void mount(FilesystemOptions options = {}) { mount(root_, options); }
  void mount(std::shared_ptr<RootProvider> root, FilesystemOptions options = {}) {
    fs_ = std::make_unique<Filesystem>(gated_blobs_, directories_, std::move(root), options);
  }

  FileNode put_file(std::string_view content, bool executable = false) {
    return {store::testing::put_blob(services_, content), content.size(), executable};
  }
  static Node symlink_to(std::string target) {
    return SymlinkNode{store::testing::must(SymlinkTarget::parse(std::move(target)))};
  }
  store::testing::TreeBuilder tree() { return store::testing::TreeBuilder(services_); }
  // A directory node for a directory that is not stored.
  static Node missing_directory() { return DirectoryNode{store::testing::unknown_digest(), 1}; }

  // Looks up each name of the path, keeping every reference it takes.
  FsResult<Entry> walk(std::string_view path) {
    Entry at;
    at.node = kRootNode;
    for (const std::string& name : store::testing::must(parse_relative_path(path)))
      at = CASTORE_TRY(fs_->lookup(ctx_, at.node, name));
    return at;
  }
  Entry at(std::string_view path) { return walk(path).value(); }

  std::string read_file(NodeId node, size_t step = size_t{1} << 17) {
    HandleId handle = fs_->open(ctx_, node).value();
    std::string content;
    std::vector<std::byte> scratch(step);
    for (;;) {
      ReadBytes read = fs_->read(ctx_, 0, handle, content.size(), step, scratch).value();
      if (read.bytes.empty()) break;
      content.append(text_of(read.bytes));
    }
    fs_->release(handle);
    return content;
  }

  // Entries from `offset` on, at most `count`.
  FsResult<std::vector<SeenEntry>> list_some(NodeId node, HandleId handle, uint64_t offset,
                                             size_t count) {
    std::vector<SeenEntry> seen;
    CASTORE_TRY(fs_->list(ctx_, node, handle, offset, [&](const ListedEntry& entry) {
      if (seen.size() == count) return false;
      seen.push_back({std::string(entry.name), entry.next_offset, entry.type, entry.inode});
      return true;
    }));
    return seen;
  }
  std::vector<SeenEntry> list_all(NodeId node) {
    HandleId handle = fs_->open_directory(ctx_, node).value();
    auto seen = list_some(node, handle, 0, SIZE_MAX).value();
    fs_->release_directory(handle);
    return seen;
  }

  Context ctx_;
  std::shared_ptr<store::testing::FaultyBlobService> blobs_;
  std::shared_ptr<store::testing::GatedBlobService> gated_blobs_;
  std::shared_ptr<store::testing::FaultyDirectoryService> directories_;
  store::Services services_;
  std::shared_ptr<ChangingRoot> root_ = std::make_shared<ChangingRoot>();
  std::unique_ptr<Filesystem> fs_;
};

}  // namespace castore::fs
