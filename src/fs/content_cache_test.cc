// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/content_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fs/filesystem_fixture.h"

namespace castore::fs {
namespace {

using store::testing::noise;

// Filesystems that show one root out of one cache, over a store that has blobs in memory.
class ContentCacheTest : public FilesystemTest {
 protected:
  static constexpr size_t kLarge = size_t{2} << 20;

  void make_cache(const ContentCache::Options& options) {
    services_ = backends::memory_services();
    cache_ = std::make_shared<ContentCache>(services_.blobs, services_.directories, options);
  }
  std::unique_ptr<Filesystem> show() {
    return std::make_unique<Filesystem>(cache_, root_, FilesystemOptions());
  }
  // To the end, without opening it.
  void read(Filesystem& fs, std::string_view name) {
    const Entry file = fs.lookup(ctx_, kRootNode, name).value();
    std::vector<std::byte> scratch(file.attributes.size);
    EXPECT_EQ(fs.read(ctx_, file.node, kNoHandle, 0, scratch.size(), scratch).value().bytes.size(),
              scratch.size());
  }
  // As many nodes as a filesystem has to forget before it looks at what it keeps.
  void look_up_and_forget_many(Filesystem& fs) {
    for (int i = 0; i < 5000; ++i) fs.forget(fs.lookup(ctx_, kRootNode, "small").value().node, 1);
  }

  std::shared_ptr<ContentCache> cache_;
};

TEST_F(ContentCacheTest, KeepsABlobThatWasReadToItsEndForOtherKernels) {
  make_cache({.several_kernels = true});
  root_->set("file", put_file("content"));
  auto one = show();
  auto two = show();
  read(*one, "file");
  read(*two, "file");
  EXPECT_EQ(cache_->blobs.use().misses, 1u);
}

TEST_F(ContentCacheTest, LetsItGoWhereThereIsOneKernel) {
  make_cache({});
  root_->set("file", put_file("content"));
  read(*show(), "file");
  EXPECT_EQ(cache_->blobs.bytes(), 0u);
}

TEST_F(ContentCacheTest, IsBoundedHoweverManyShareIt) {
  constexpr size_t kBytesMax = 50'000;
  make_cache({.directory_bytes = kBytesMax, .blob_bytes = kBytesMax, .several_kernels = true});
  std::vector<std::unique_ptr<Filesystem>> filesystems;
  for (int i = 0; i < 10; ++i) filesystems.push_back(show());
  for (uint64_t i = 0; i < 100; ++i) {
    const std::string name = fmt::format("file-{}", i);
    root_->set(name, put_file(noise(2000, i)));
    root_->set("tree", tree().file(name, "x").build());
    for (auto& fs : filesystems) {
      read(*fs, name);
      const Entry folder = fs->lookup(ctx_, kRootNode, "tree").value();
      fs->lookup(ctx_, folder.node, name).value();
      fs->forget(folder.node, 1);
    }
    EXPECT_LE(cache_->blobs.bytes(), kBytesMax);
    EXPECT_LE(cache_->directories.bytes(), kBytesMax);
  }
}

TEST_F(ContentCacheTest, IsEmptiedByAKernelThatForgetsOnlyWhereNoOtherSharesIt) {
  make_cache({.several_kernels = true});
  root_->set("large", put_file(noise(kLarge, 1)));
  root_->set("small", put_file(""));
  auto one = show();
  auto two = show();
  read(*one, "large");
  look_up_and_forget_many(*two);
  EXPECT_GT(cache_->blobs.bytes(), kLarge);
  one.reset();
  EXPECT_GT(cache_->blobs.bytes(), kLarge);
  look_up_and_forget_many(*two);
  EXPECT_EQ(cache_->blobs.bytes(), 0u);
}

TEST_F(ContentCacheTest, IsEmptiedByAKernelThatForgetsTheFewNodesItKnew) {
  make_cache({.several_kernels = true});
  root_->set("large", put_file(noise(kLarge, 1)));
  auto fs = show();
  const Entry file = fs->lookup(ctx_, kRootNode, "large").value();
  read(*fs, "large");
  EXPECT_GT(cache_->blobs.bytes(), kLarge);
  fs->forget(file.node, 2);
  EXPECT_EQ(cache_->blobs.bytes(), 0u);
}

TEST_F(ContentCacheTest, IsEmptiedOfLargeDirectoriesToo) {
  make_cache({.directory_bytes = 4096});
  auto builder = tree();
  for (int i = 0; i < 20'000; ++i) builder.file(fmt::format("a-long-enough-name-{}", i), "");
  root_->set("tree", builder.build());
  auto fs = show();
  const Entry folder = fs->lookup(ctx_, kRootNode, "tree").value();
  fs->lookup(ctx_, folder.node, "absent").error();
  EXPECT_GT(cache_->directories.bytes(), size_t{1} << 20);
  fs->forget(folder.node, 1);
  EXPECT_EQ(cache_->directories.bytes(), 0u);
}

// Else one node looked up and forgotten in a loop would have its directory fetched each time.
TEST_F(ContentCacheTest, IsEmptiedOnceASecondAtMost) {
  make_cache({.several_kernels = true});
  root_->set("large", put_file(noise(kLarge, 1)));
  auto fs = show();
  fs->lookup(ctx_, kRootNode, "large").value();  // keeps the file known
  const auto now = RateLimit::Clock::now();
  read(*fs, "large");
  cache_->give_back_unshared(now);
  EXPECT_EQ(cache_->blobs.bytes(), 0u);
  read(*fs, "large");
  cache_->give_back_unshared(now + std::chrono::milliseconds(999));
  EXPECT_GT(cache_->blobs.bytes(), kLarge);
  cache_->give_back_unshared(now + std::chrono::milliseconds(1000));
  EXPECT_EQ(cache_->blobs.bytes(), 0u);
}

TEST_F(ContentCacheTest, IsEmptyWhenTheLastHasGone) {
  make_cache({.several_kernels = true});
  root_->set("large", put_file(noise(kLarge, 1)));
  auto one = show();
  auto two = show();
  read(*one, "large");
  one.reset();
  EXPECT_GT(cache_->blobs.bytes(), kLarge);
  two.reset();
  EXPECT_EQ(cache_->blobs.bytes(), 0u);
}

}  // namespace
}  // namespace castore::fs
