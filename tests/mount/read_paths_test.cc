// SPDX-License-Identifier: MIT OR Apache-2.0
// Content out of a local store, large and small, by the read path and transport under test.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "backends/local/local_store.h"
#include "base/unique_fd.h"
#include "mount_test_base.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"

namespace castore::mount_tests {
namespace {

using fuse_device::ReadPath;
using fuse_device::Transport;
using store::testing::must;

std::string noise(size_t bytes, uint32_t seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

class ReadPaths : public MountTest {
 protected:
  ReadPaths() { use_store(folder_ / "store"); }

  void use_store(const std::string& folder) {
    auto store = must(backends::LocalStore::open(folder, backends::OpenMode::kCreate));
    services_.blobs = store->blobs();
    services_.directories = store->directories();
    gated_ = std::make_shared<store::testing::GatedBlobService>(services_.blobs);
    file_of_store_ = backends::format_path(folder);
  }

  // Straight on the store: the gate hides what is a file.
  void mount_tree(const Node& tree) {
    must(services_.sync({}));
    auto filesystem = std::make_shared<fs::Filesystem>(services_.blobs, services_.directories,
                                                       fs::map_root({{"t", tree}}),
                                                       fs::FilesystemOptions{.list_root = true});
    auto options = server_options();
    options.file_of_store = file_of_store_;
    server_ = must(fuse_device::FuseServer::start(std::move(filesystem), options));
    services_ = {};
    gated_.reset();
  }

  // What a test was started with is what runs.
  void TearDown() override {
    if (server_) {
      EXPECT_EQ(server_->facts().read_path, read_path_);
      EXPECT_EQ(server_->facts().transport, transport_);
    }
    end();
  }

  std::string file_of_store_;
};

// A store whose files the kernel refuses to pass through, as in a container.
class OnOverlay : public ReadPaths {
 protected:
  OnOverlay() { read_path_ = ReadPath::kPassthrough; }

  void SetUp() override {
    // An overlay cannot be laid over another, but over this wherever it is.
    if (::mount("castore-test", base_.c_str(), "tmpfs", 0, nullptr) != 0)
      GTEST_SKIP() << "no tmpfs: " << std::strerror(errno);
    const std::string options =
        "lowerdir=" + below("lower") + ",upperdir=" + below("upper") + ",workdir=" + below("work");
    if (::mount("castore-test", overlay_.c_str(), "overlay", 0, options.c_str()) != 0)
      GTEST_SKIP() << "no overlayfs: " << std::strerror(errno);
    use_store(overlay_ + "/store");
  }

  void TearDown() override {
    end();
    services_ = {};
    gated_.reset();
    (void)::umount2(overlay_.c_str(), MNT_DETACH);
    (void)::umount2(base_.c_str(), MNT_DETACH);
  }

  // The first note of the mount that has `words`.
  std::string note_with(std::string_view words) const {
    for (const fuse_device::Note& note : server_->facts().notes)
      if (to_string(note).contains(words)) return to_string(note);
    return {};
  }
  bool kernel_can() const { return server_->facts().session.offered & fuse::abi::kPassthrough; }

 private:
  std::string below(std::string_view name) const {
    std::string path = base_ + "/" + std::string(name);
    std::filesystem::create_directory(path);
    return path;
  }

  std::string base_ = folder_.make_folder("base");
  std::string overlay_ = folder_.make_folder("overlay");
};

TEST_F(ReadPaths, ReadsOfAnyOffsetAndLengthAreTheSources) {
  const std::vector<size_t> sizes{0,       1,       4095,    4096,      65'536,
                                  262'144, 262'145, 1 << 20, 3'000'001, (8 << 20) + 17};
  std::vector<std::string> sources;
  store::testing::TreeBuilder tree(services_);
  for (size_t i = 0; i < sizes.size(); ++i) {
    sources.push_back(noise(sizes[i], static_cast<uint32_t>(i)));
    tree.file(std::to_string(i), sources.back());
  }
  mount_tree(tree.build());
  std::vector<std::thread> readers;
  for (uint32_t seed = 0; seed < 4; ++seed)
    readers.emplace_back([&, seed] {
      std::mt19937 random(seed);
      std::string buffer;
      for (int round = 0; round < 400; ++round) {
        size_t i = random() % sizes.size();
        UniqueFd fd(::open(at("t/" + std::to_string(i)).c_str(), O_RDONLY | O_CLOEXEC));
        ASSERT_TRUE(fd);
        size_t offset = random() % (sizes[i] + 5000);
        size_t length = random() % 300'000;
        std::string_view expected =
            std::string_view(sources[i]).substr(std::min(offset, sizes[i]), length);
        if (random() % 2 == 0 || expected.empty()) {
          buffer.assign(length, '\0');
          ssize_t n = ::pread(fd.get(), buffer.data(), length, static_cast<off_t>(offset));
          ASSERT_EQ(n, static_cast<ssize_t>(expected.size()));
          ASSERT_TRUE(std::string_view(buffer).substr(0, expected.size()) == expected);
        } else {
          void* map = ::mmap(nullptr, sizes[i], PROT_READ, MAP_PRIVATE, fd.get(), 0);
          ASSERT_NE(map, MAP_FAILED);
          ASSERT_TRUE(std::string_view(static_cast<char*>(map) + offset, expected.size()) ==
                      expected);
          ::munmap(map, sizes[i]);
        }
      }
    });
  for (std::thread& reader : readers) reader.join();
}

TEST_F(ReadPaths, LargeFilesAreReadByTheKernelWhereItMay) {
  mount_tree(store::testing::TreeBuilder(services_)
                 .file("large", noise(1 << 20, 1))
                 .file("small", "small")
                 .build());
  UniqueFd large(::open(at("t/large").c_str(), O_RDONLY | O_CLOEXEC));
  UniqueFd again(::open(at("t/large").c_str(), O_RDONLY | O_CLOEXEC));
  UniqueFd small(::open(at("t/small").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(*read_file(at("t/small")), "small");
  EXPECT_EQ(*read_file(at("t/large")), noise(1 << 20, 1));
  uint64_t expected = read_path_ == ReadPath::kPassthrough ? 1 : 0;
  EXPECT_EQ(server_->facts().backing.nodes, expected);
  for (const auto& operation : server_->facts().operations) {
    if (operation.opcode != fuse::abi::Opcode::kRead || expected == 0) continue;
    EXPECT_LE(operation.bytes, 4096u) << "the large one was asked for";
  }
}

TEST_F(OnOverlay, AStoreWhoseFilesTheKernelRefusesIsReadThroughItsCache) {
  mount_tree(store::testing::TreeBuilder(services_).file("large", noise(1 << 20, 1)).build());
  if (!kernel_can()) GTEST_SKIP() << "this kernel has no passthrough";
  EXPECT_EQ(server_->facts().read_path, ReadPath::kCached);
  EXPECT_EQ(server_->facts().transport, transport_);
  EXPECT_TRUE(note_with("no passthrough").contains("overlayfs")) << note_with("no passthrough");
  EXPECT_TRUE(note_with("no passthrough").contains("ext4"));
  EXPECT_EQ(*read_file(at("t/large")), noise(1 << 20, 1));
  for (const auto& operation : server_->facts().operations)
    EXPECT_LE(operation.opcode == fuse::abi::Opcode::kOpen ? operation.count : 0, 1u);
}

TEST_F(OnOverlay, AFileThatIsRefusedLaterIsANote) {
  file_of_store_ = folder_ / "store/format";
  mount_tree(store::testing::TreeBuilder(services_).file("large", noise(1 << 20, 1)).build());
  if (!kernel_can()) GTEST_SKIP() << "this kernel has no passthrough";
  EXPECT_EQ(server_->facts().read_path, ReadPath::kPassthrough);
  EXPECT_EQ(note_with("not all large files"), "");
  EXPECT_EQ(*read_file(at("t/large")), noise(1 << 20, 1));
  EXPECT_TRUE(note_with("not all large files").contains("overlayfs"));
}

TEST_F(ReadPaths, AFolderOfThousandsListsWhole) {
  store::testing::TreeBuilder tree(services_);
  for (int i = 0; i < 5000; ++i) tree.file(std::to_string(i), std::to_string(i));
  mount_tree(tree.build());
  auto lines = list_folder(at("t"));
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines->size(), 5000u);
  for (int i = 0; i < 5000; i += 499)
    EXPECT_EQ(*read_file(at("t/" + std::to_string(i))), std::to_string(i));
}

}  // namespace
}  // namespace castore::mount_tests
