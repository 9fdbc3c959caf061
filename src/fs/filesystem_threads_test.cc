// SPDX-License-Identifier: MIT OR Apache-2.0
// Everything at once, for ThreadSanitizer and for races in the counting of references.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <thread>

#include "fs/content_cache.h"
#include "fs/filesystem.h"
#include "fs/filesystem_fixture.h"

namespace castore::fs {
namespace {

constexpr int kThreads = 8;
constexpr int kRounds = 400;

class FilesystemThreadsTest : public FilesystemTest {
 protected:
  static void on_all_threads(const std::function<void(uint32_t seed)>& run) {
    std::vector<std::thread> threads;
    for (uint32_t seed = 0; seed < kThreads; ++seed) threads.emplace_back(run, seed);
    for (std::thread& thread : threads) thread.join();
  }
};

// A kernel of its own for each thread: it gives back what it took.
class Walker {
 public:
  Walker(Filesystem& fs, uint32_t seed) : fs_(fs), random_(seed) {}

  void round() {
    NodeId node = kRootNode;
    for (int depth = 0; depth < 4; ++depth) {
      auto entries = list(node);
      if (entries.empty()) break;
      const SeenEntry& chosen = entries[random_() % entries.size()];
      auto entry = fs_.lookup(ctx_, node, chosen.name);
      ASSERT_TRUE(entry.has_value()) << chosen.name;
      taken_.push_back(entry->node);
      EXPECT_EQ(fs_.attributes(ctx_, entry->node)->inode, entry->attributes.inode);
      switch (entry->attributes.type) {
        case FileType::kDirectory:
          node = entry->node;
          continue;
        case FileType::kRegular:
          read(entry->node, entry->attributes.size);
          break;
        case FileType::kSymlink:
          EXPECT_TRUE(fs_.readlink(ctx_, entry->node).has_value());
          break;
      }
      break;
    }
    EXPECT_TRUE(fs_.list_xattr(ctx_, node).has_value());
    if (random_() % 3 == 0) give_back();
  }

  void give_back() {
    std::ranges::shuffle(taken_, random_);
    for (NodeId node : taken_) fs_.forget(node, 1);
    taken_.clear();
  }

 private:
  std::vector<SeenEntry> list(NodeId node) {
    std::vector<SeenEntry> seen;
    HandleId handle = fs_.open_directory(ctx_, node).value();
    if (random_() % 2 == 0) {
      EXPECT_TRUE(fs_.list(ctx_, node, handle, 0, [&](const ListedEntry& entry) {
        seen.push_back({std::string(entry.name)});
        return true;
      }));
    } else {
      EXPECT_TRUE(
          fs_.list_plus(ctx_, node, handle, 0, [&](const ListedEntry& listed, const Entry& entry) {
            if (random_() % 10 == 0) return false;
            seen.push_back({std::string(listed.name)});
            taken_.push_back(entry.node);
            return true;
          }));
    }
    fs_.release_directory(handle);
    return seen;
  }

  void read(NodeId node, uint64_t size) {
    HandleId handle = fs_.open(ctx_, node).value();
    std::vector<std::byte> scratch(64);
    uint64_t offset = random_() % (size + 1);
    auto read = fs_.read(ctx_, 0, handle, offset, scratch.size(), scratch);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->bytes.size(), std::min<uint64_t>(scratch.size(), size - offset));
    for (size_t i = 0; i < read->bytes.size(); ++i)
      EXPECT_EQ(read->bytes[i], static_cast<std::byte>('a' + (offset + i) % 26));
    fs_.release(handle);
  }

  Filesystem& fs_;
  std::mt19937 random_;
  Context ctx_;
  std::vector<NodeId> taken_;
};

std::string alphabet(size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text.push_back(static_cast<char>('a' + i % 26));
  return text;
}

TEST_F(FilesystemThreadsTest, ReferencesAddUpWhenManyWalkAndForget) {
  auto builder = tree();
  for (size_t i = 0; i < 12; ++i) {
    builder.file(fmt::format("d{}/same", i), alphabet(100));
    for (size_t k = 0; k < 6; ++k) {
      builder.file(fmt::format("d{}/e{}/file", i, k), alphabet(i * 10 + k));
      builder.file(fmt::format("d{}/e{}/program", i, k), alphabet(i * 10 + k), true);
      builder.symlink(fmt::format("d{}/e{}/link", i, k), fmt::format("target-{}", k));
    }
  }
  Node node = builder.build();
  for (int i = 0; i < 20; ++i) root_->set(fmt::format("tree-{}", i), node);
  root_->set("file", put_file(alphabet(300)));
  root_->set("link", symlink_to("file"));
  // A small cache, so that directories come and go.
  auto cache = std::make_shared<ContentCache>(
      blobs_, directories_,
      ContentCache::Options{.directory_bytes = 4096, .large_directory_bytes = 4096});
  fs_ = std::make_unique<Filesystem>(cache, root_, FilesystemOptions{.list_root = true});
  on_all_threads([&](uint32_t seed) {
    Walker walker(*fs_, seed);
    for (int i = 0; i < kRounds && !HasFailure(); ++i) walker.round();
    walker.give_back();
  });
  EXPECT_EQ(fs_->totals().nodes, 0u);
  EXPECT_EQ(fs_->totals().handles, 0u);
}

TEST_F(FilesystemThreadsTest, RootNamesMayChangeWhileTheyAreLookedUp) {
  root_->set("name", put_file("0"));
  mount({.list_root = true});
  on_all_threads([&](uint32_t seed) {
    std::vector<std::byte> scratch(8);
    for (int i = 0; i < kRounds; ++i) {
      if (seed == 0) {
        if (i % 3 == 0)
          root_->set("name", tree().file(std::to_string(i), "").build());
        else
          root_->set("name", put_file(std::to_string(i)));
        continue;
      }
      Entry entry = fs_->lookup(ctx_, kRootNode, "name").value();
      HandleId handle = fs_->open_directory(ctx_, kRootNode).value();
      EXPECT_EQ(list_some(kRootNode, handle, 0, 2)->size(), 1u);
      fs_->release_directory(handle);
      EXPECT_TRUE(fs_->attributes(ctx_, entry.node).has_value());
      fs_->forget(entry.node, 1);
    }
  });
  EXPECT_EQ(fs_->totals().nodes, 0u);
}

TEST_F(FilesystemThreadsTest, OneHandleServesManyReaders) {
  std::string content = store::testing::blob_b();
  root_->set("file", put_file(content));
  HandleId handle = fs_->open(ctx_, at("file").node).value();
  on_all_threads([&](uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> scratch(8192);
    for (int i = 0; i < kRounds; ++i) {
      uint64_t offset = random() % content.size();
      auto read = fs_->read(ctx_, 0, handle, offset, scratch.size(), scratch).value();
      ASSERT_TRUE(text_of(read.bytes) == std::string_view(content).substr(offset, 8192));
    }
  });
}

}  // namespace
}  // namespace castore::fs
