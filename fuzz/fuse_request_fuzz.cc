// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Whatever sequence of frames a kernel or guest sends, each request has at most one reply that is
// well formed (FakeKernel checks that), and afterwards the filesystem still shows what it showed.
//
// An input is frames one after the other: two bytes length (little endian), one byte flags, one
// byte room for the reply in units of 32 bytes (0: plenty), then the frame as the kernel would
// write it. Its own length field is put right, unless the flags say otherwise: nearly every
// mutation would stop there.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/memory/memory_services.h"
#include "base/bytes.h"
#include "base/check.h"
#include "digest/blake3.h"
#include "fs/filesystem.h"
#include "fs/root.h"
#include "fuse/dispatcher.h"
#include "fuse/testing/fake_kernel.h"
#include "model/directory.h"

namespace castore {
namespace {

constexpr uint8_t kKeepLength = 1;
constexpr uint8_t kLoseReply = 2;
constexpr size_t kFrameHeadBytes = 4;
constexpr size_t kRoomUnitBytes = 32;

struct Tree {
  store::Services services = backends::memory_services();
  std::shared_ptr<fs::RootProvider> root;
};

const Tree& tree() {
  static const Tree built = [] {
    Tree tree;
    spdlog::set_level(spdlog::level::off);
    Bytes hello = Bytes::copy_of(std::string_view("Hello World!"));
    Digest digest = blake3(hello.view());
    CASTORE_CHECK(tree.services.blobs->put({}, digest, hello).has_value(), "memory is there");
    DirectoryBuilder builder;
    bool added = builder.add("empty", DirectoryNode{Directory().digest(), 0}).has_value() &&
                 builder.add("hello", FileNode{digest, hello.size(), false}).has_value() &&
                 builder.add("link", SymlinkNode{*SymlinkTarget::parse("hello")}).has_value();
    auto folder = builder.build();
    CASTORE_CHECK(added && folder, "the tree is valid");
    CASTORE_CHECK(tree.services.directories->put({}, *folder).has_value(), "memory is there");
    tree.root = fs::map_root(
        {{"folder", DirectoryNode{folder->digest(), folder->size(SizeConvention::kDocumented)}}});
    return tree;
  }();
  return built;
}

void play(fuse::testing::FakeKernel& kernel, ByteView input) {
  while (input.size() >= kFrameHeadBytes) {
    size_t length = std::to_integer<size_t>(input[0]) | std::to_integer<size_t>(input[1]) << 8;
    auto flags = std::to_integer<uint8_t>(input[2]);
    size_t room = std::to_integer<size_t>(input[3]) * kRoomUnitBytes;
    input = input.subspan(kFrameHeadBytes);
    length = std::min(length, input.size());
    // A heap block of exactly the right size, so that a sanitizer sees a read beyond the end.
    std::vector<std::byte> frame(input.begin(), input.begin() + static_cast<ptrdiff_t>(length));
    input = input.subspan(length);
    auto claimed = static_cast<uint32_t>(length);
    if ((flags & kKeepLength) == 0 && length >= sizeof claimed)
      std::memcpy(frame.data(), &claimed, sizeof claimed);
    if ((flags & kLoseReply) != 0) kernel.lose_next_reply();
    kernel.raw(frame, room == 0 ? std::numeric_limits<size_t>::max() : room);
  }
}

void expect_sound(fuse::Dispatcher& dispatcher) {
  fuse::testing::FakeKernel kernel(dispatcher);
  if (!dispatcher.session()) CASTORE_CHECK(kernel.init().has_value(), "INIT is answered");
  // Interrupts for requests that never came may hit these; a kernel would ask again, too.
  for (int i = 0; i < 200; ++i) {
    auto folder = kernel.lookup(fuse::abi::kRootNode, "folder");
    if (!folder) continue;
    auto hello = kernel.lookup(folder->nodeid, "hello");
    if (!hello || hello->nodeid == 0) continue;
    auto open = kernel.open(hello->nodeid);
    if (!open) continue;
    auto content = kernel.read(hello->nodeid, open->fh, 0, 100);
    if (content && *content == "Hello World!") return;
  }
  CASTORE_CHECK(false, "the tree is still shown");
}

}  // namespace
}  // namespace castore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace castore;
  const Tree& shown = tree();
  fs::Filesystem filesystem(shown.services.blobs, shown.services.directories, shown.root,
                            {.list_root = true});
  fuse::Dispatcher dispatcher(filesystem);
  {
    fuse::testing::FakeKernel kernel(dispatcher);
    play(kernel, std::as_bytes(std::span(data, size)));
  }
  expect_sound(dispatcher);
  return 0;
}
