// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "backends/memory/memory_services.h"
#include "base/check.h"
#include "fs/content_cache.h"
#include "fs/filesystem.h"
#include "fs/root.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/faulty_directory_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/gated_blob_service.h"
#include "store/testing/tree_builder.h"
#include "virtiofs/server.h"
#include "virtiofs/testing/fake_guest.h"

// For the tests of virtiofs/.
namespace castore::virtiofs::testing {

// A device for a guest that is not there yet, over a store in memory.
class GuestTest : public ::testing::Test {
 protected:
  GuestTest() {
    use(backends::memory_services());
    store::testing::put_blob(services_, store::testing::blob_a());
    store::testing::put_blob(services_, store::testing::blob_b());
    store::testing::put_blob(services_, "");
    Node folder = store::testing::TreeBuilder(services_)
                      .file("hello", "Hello World!")
                      .file("run", "#!/bin/sh\n", true)
                      .symlink("link", "hello")
                      .build();
    root_ = {
        {"folder", folder},
        {"a", FileNode{store::testing::blob_a_digest(), 2, false}},
        {"b", FileNode{store::testing::blob_b_digest(), store::testing::blob_b().size(), false}},
        {"lost-folder", DirectoryNode{store::testing::unknown_digest(), 1}},
        {"lost-file", FileNode{store::testing::unknown_digest(), 2, false}}};
  }
  ~GuestTest() override { gated_->open_gate().open(); }

  // Guests are shown these from now on, by one cache. What they fetch is counted, and blobs go
  // through a gate.
  void use(const store::Services& services) {
    services_ = services;
    blobs_ = std::make_shared<store::testing::FaultyBlobService>(services.blobs);
    gated_ = std::make_shared<store::testing::GatedBlobService>(blobs_);
    directories_ = std::make_shared<store::testing::FaultyDirectoryService>(services.directories);
    cache_ = std::make_shared<fs::ContentCache>(gated_, directories_,
                                                fs::ContentCache::Options{.several_kernels = true});
  }

  UniqueFd start_device() {
    int ends[2];
    CASTORE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0,
                  "there are sockets");
    auto connection = GuestConnection::start(
        UniqueFd(ends[0]),
        [this] {
          return std::make_shared<fs::Filesystem>(
              cache_, provider_ ? provider_ : fs::map_root(root_), fs_options_);
        },
        options_);
    CASTORE_CHECK(connection, "the device starts");
    connection_ = std::move(*connection);
    return UniqueFd(ends[1]);
  }

  // A guest that is ready, and its kernel, which has greeted.
  void start(FakeGuest::Options guest = {}) {
    options_.request_queues = guest.request_queues;
    guest_ = std::make_unique<FakeGuest>(start_device(), guest);
    ASSERT_TRUE(guest_->set_up());
    kernel_ = std::make_unique<fuse::testing::FakeKernel>(guest_->exchange_through(1));
    ASSERT_TRUE(kernel_->init());
  }
  void hang_up() { guest_->front_end().hang_up(); }

  // A guest that is not the one which the members stand for.
  struct Another {
    std::unique_ptr<GuestConnection> connection;
    std::unique_ptr<FakeGuest> guest;
    std::unique_ptr<fuse::testing::FakeKernel> kernel;
  };
  // Puts the one there is aside, so that another can be started beside it; and takes it up again.
  Another put_aside() { return {std::move(connection_), std::move(guest_), std::move(kernel_)}; }
  void take_up(Another another) {
    kernel_ = std::move(another.kernel);
    guest_ = std::move(another.guest);
    connection_ = std::move(another.connection);
  }

  // Why the connection ended by itself.
  std::optional<ErrorKind> end() {
    auto ended = connection_->wait();
    return ended ? std::nullopt : std::optional(ended.error().kind());
  }

  uint64_t node(std::string_view path) { return node(*kernel_, path); }
  static uint64_t node(fuse::testing::FakeKernel& kernel, std::string_view path) {
    uint64_t at = fuse::abi::kRootNode;
    while (!path.empty()) {
      const size_t end = std::min(path.find('/'), path.size());
      auto entry = kernel.lookup(at, path.substr(0, end));
      EXPECT_TRUE(entry) << path;
      if (!entry) return 0;
      at = entry->nodeid;
      path.remove_prefix(std::min(end + 1, path.size()));
    }
    return at;
  }
  // Everything works as it should.
  void expect_sound() { EXPECT_EQ(kernel_->read(node("folder/hello"), 0, 0, 100), "Hello World!"); }

  store::Services services_;
  std::shared_ptr<store::testing::FaultyBlobService> blobs_;
  std::shared_ptr<store::testing::GatedBlobService> gated_;
  std::shared_ptr<store::testing::FaultyDirectoryService> directories_;
  std::shared_ptr<fs::ContentCache> cache_;
  std::map<std::string, Node> root_;
  std::shared_ptr<fs::RootProvider> provider_;  // in place of `root_`, where there is one
  fs::FilesystemOptions fs_options_;
  DeviceOptions options_{.tag = "store", .stop_grace = std::chrono::milliseconds(200)};
  std::unique_ptr<GuestConnection> connection_;
  std::unique_ptr<FakeGuest> guest_;
  std::unique_ptr<fuse::testing::FakeKernel> kernel_;
};

}  // namespace castore::virtiofs::testing
