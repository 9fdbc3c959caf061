// SPDX-License-Identifier: MIT OR Apache-2.0
// Listing directories of a mount, and standing in them.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>
#include <utility>

#include "base/unique_fd.h"
#include "mount_test_base.h"
#include "store/testing/fixtures.h"
#include "store/testing/tree_builder.h"

namespace castore::mount_tests {
namespace {

constexpr size_t kManyNames = 5000;

// Counts what the filesystem asks.
class CountingRoot final : public fs::RootProvider {
 public:
  explicit CountingRoot(std::map<std::string, Node> names)
      : names_(fs::map_root(std::move(names))) {}

  Result<std::optional<Node>> lookup(const Context& ctx, std::string_view name) override {
    ++lookups;
    return names_->lookup(ctx, name);
  }
  Result<std::vector<NamedNode>> list(const Context& ctx) override { return names_->list(ctx); }

  std::atomic<size_t> lookups = 0;

 private:
  std::shared_ptr<fs::RootProvider> names_;
};

class MountedListing : public MountTest {
 protected:
  std::map<std::string, Node> many_names() {
    Node node = blob_a();
    std::map<std::string, Node> names;
    for (size_t i = 0; i < kManyNames; ++i) names.emplace(fmt::format("name-{:05}", i), node);
    return names;
  }
};

// With a buffer of the caller's size, as readdir(3) would not.
std::vector<std::string> names_by_small_steps(const std::string& path, size_t buffer_bytes) {
  struct Head {
    uint64_t inode;
    int64_t offset;
    uint16_t record_bytes;
    unsigned char type;
  };
  constexpr size_t kNameOffset = 19;
  std::vector<std::string> names;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::vector<char> buffer(buffer_bytes);
  for (;;) {
    long n = ::syscall(SYS_getdents64, fd.get(), buffer.data(), buffer.size());
    EXPECT_GE(n, 0) << errno;
    if (n <= 0) return names;
    for (size_t at = 0; at < static_cast<size_t>(n);) {
      Head head;
      std::memcpy(&head, buffer.data() + at, kNameOffset);
      names.emplace_back(buffer.data() + at + kNameOffset);
      at += head.record_bytes;
    }
  }
}

TEST_F(MountedListing, AnyBufferSizeListsEachNameOnce) {
  auto names = many_names();
  store::testing::TreeBuilder builder(services_);
  for (const auto& [name, node] : names) builder.node(name, node);
  names.emplace("tree", builder.build());
  mount(names, {.list_root = true});
  std::vector<std::string> expected;
  for (const auto& [name, node] : names) expected.push_back(name);
  EXPECT_EQ(names_by_small_steps(mount_point_, 128), expected);
  EXPECT_EQ(names_by_small_steps(mount_point_, 70'000), expected);
  expected.pop_back();
  EXPECT_EQ(names_by_small_steps(at("tree"), 128), expected);
  EXPECT_EQ(names_by_small_steps(at("tree"), 128), expected) << "now from the kernel's cache";
}

TEST_F(MountedListing, RewindingAndSeekingGoWhereTheyShould) {
  auto names = many_names();
  store::testing::TreeBuilder builder(services_);
  for (const auto& [name, node] : names) builder.node(name, node);
  names.emplace("tree", builder.build());
  mount(names, {.list_root = true});
  for (const std::string& path : {mount_point_, at("tree")}) {
    SCOPED_TRACE(path);
    std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(path.c_str()), ::closedir);
    ASSERT_TRUE(stream);
    std::vector<std::string> first;
    std::vector<long> places;
    for (;;) {
      places.push_back(::telldir(stream.get()));
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr) break;
      first.emplace_back(entry->d_name);
    }
    ASSERT_GE(first.size(), kManyNames);

    ::rewinddir(stream.get());
    std::vector<std::string> second;
    while (const dirent* entry = ::readdir(stream.get())) second.emplace_back(entry->d_name);
    EXPECT_EQ(second, first);

    for (size_t i : {size_t{4321}, size_t{7}, size_t{0}, size_t{4999}, size_t{2500}}) {
      ::seekdir(stream.get(), places[i]);
      const dirent* entry = ::readdir(stream.get());
      ASSERT_NE(entry, nullptr);
      EXPECT_EQ(entry->d_name, first[i]);
    }
    ::seekdir(stream.get(), places.back());
    EXPECT_EQ(::readdir(stream.get()), nullptr);
  }
}

TEST_F(MountedListing, AListingTellsAllThatStatWouldAsk) {
  auto root = std::make_shared<CountingRoot>(many_names());
  mount_root(root, {.list_root = true});
  auto lines = list_folder(mount_point_);
  ASSERT_TRUE(lines);
  ASSERT_EQ(lines->size(), kManyNames);
  for (const Listed& line : *lines) {
    ASSERT_EQ(line.type, DT_REG);
    ASSERT_EQ(stat_of(at(line.name))->st_ino, line.inode);
  }
  EXPECT_EQ(root->lookups.load(), 0u);
}

TEST_F(MountedListing, AFileIsNoFolder) {
  mount({{"f", file("content")}});
  EXPECT_EQ(error_of(list_folder(at("f"))), ENOTDIR);
  EXPECT_EQ(error_of(stat_of(at("f/x"))), ENOTDIR);
}

// Two places with equal content must stay two places: were they one node, the kernel would move
// the directory from one to the other, and who stands in it with it.
TEST_F(MountedListing, AWorkingDirectoryStaysWhereItIs) {
  Node tree = store::testing::TreeBuilder(services_)
                  .file("a/same/deep/f", "x")
                  .file("b/same/deep/f", "x")
                  .build();
  mount({{"tree", tree}, {"twin", tree}});
  EXPECT_EQ(stat_of(at("tree/a/same"))->st_ino, stat_of(at("tree/b/same"))->st_ino);
  std::string here = at("tree/a/same/deep");
  EXPECT_EQ(in_child([&] {
              auto is_here = [&] {
                std::array<char, PATH_MAX> path;
                return ::getcwd(path.data(), path.size()) != nullptr && here == path.data();
              };
              if (::chdir(here.c_str()) != 0 || !is_here()) return 1;
              for (const char* other : {"tree/b/same/deep", "twin/a/same/deep/f", "twin/b/same"})
                if (!stat_of(at(other)) || !is_here()) return 2;
              if (!list_folder(at("tree/b/same")) || !is_here()) return 3;
              if (::access("f", R_OK) != 0 || ::access("../../../b", X_OK) != 0) return 4;
              return is_here() ? 0 : 5;
            }),
            0);
}

TEST_F(MountedListing, ADeepTreeIsWalkedToItsBottom) {
  Node deep = store::testing::put_deep(services_, 1000, "d");
  mount({{"deep", deep}});
  // Paths are shorter than that, so it is walked from folder to folder.
  UniqueFd folder(::open(at("deep").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (size_t i = 0; i < 1000; ++i) {
    int next = ::openat(folder.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(next, 0) << i << " " << errno;
    folder.reset(next);
  }
  EXPECT_EQ(::faccessat(folder.get(), "bottom", R_OK, 0), 0);
}

}  // namespace
}  // namespace castore::mount_tests
