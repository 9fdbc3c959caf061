// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/render_nar.h"

#include <gtest/gtest.h>

#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "backends/memory/memory_services.h"
#include "base/hex.h"
#include "digest/blake3.h"
#include "model/directory.h"
#include "model/limits.h"

namespace castore::transfer {
namespace {

class RenderNarTest : public testing::Test {
 protected:
  using Entries = std::vector<std::pair<std::string, Node>>;

  Node file(std::string_view content, bool executable = false) {
    Digest digest = blake3(content);
    EXPECT_TRUE(services_.blobs->put(ctx_, digest, Bytes::copy_of(content)));
    return FileNode{digest, content.size(), executable};
  }

  static Node symlink(std::string target) {
    return SymlinkNode{*SymlinkTarget::parse(std::move(target))};
  }

  Node directory(const Entries& entries) {
    DirectoryBuilder builder;
    for (const auto& [name, node] : entries) EXPECT_TRUE(builder.add(name, node));
    auto built = builder.build();
    EXPECT_TRUE(built);
    EXPECT_TRUE(services_.directories->put(ctx_, *built));
    return DirectoryNode{built->digest(), built->size(SizeConvention::kDocumented)};
  }

  Node complicated() {
    return directory({{".keep", file("")},
                      {"aa", symlink("/nix/store/somewhereelse")},
                      {"keep", directory({{".keep", file("")}})}});
  }

  void expect_nar(const Node& root, uint64_t size, std::string_view sha256) {
    auto nar = summarize_nar(ctx_, services_, root);
    ASSERT_TRUE(nar) << nar.error().message();
    EXPECT_EQ(nar->size, size);
    EXPECT_EQ(hex_encode(nar->sha256), sha256);
  }

  void expect_failure(const Node& root, ErrorKind kind, std::string_view message) {
    auto nar = summarize_nar(ctx_, services_, root);
    ASSERT_FALSE(nar);
    EXPECT_EQ(nar.error().kind(), kind);
    EXPECT_EQ(nar.error().message(), message);
  }

  Context ctx_;
  store::Services services_ = backends::memory_services();
};

// The expected sizes and hashes are those that Nix computes.
TEST_F(RenderNarTest, RendersEveryKindOfRoot) {
  expect_nar(file("Hello World!"), 128,
             "03e7f63be30b065d78bcf615f5473545fdb4eb69aa416f43495b4e05cdfb8040");
  expect_nar(file("Hello World!", true), 160,
             "3b63b97bae149b3e6650437b9077c3d75b130192145792ec94ea3af96a8c567a");
  expect_nar(file(""), 112, "77ac62e2629d8e45f624589c0c8bf99e24b3a722349bf1e79bc186008534e246");
  expect_nar(symlink("/nix/store/somewhereelse"), 136,
             "097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1");
  expect_nar(directory({}), 96, "a50a5ab6d992f5598edd92105059fae9acfc192981e08bd88534c2167e92526a");
}

TEST_F(RenderNarTest, RendersTrees) {
  expect_nar(complicated(), 840,
             "ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a");
  Node mixed = directory({{"README", file("Hello World!")},
                          {"bin", directory({{"run", file("#!/bin/sh\nexit 0\n", true)}})},
                          {"doc", directory({{"a", file("a")}, {"b", symlink("a")}})},
                          {"z", symlink("bin/run")}});
  expect_nar(mixed, 1448, "0f505d3622a876c7b954b25dafc819616a2a323f0f390c3ca0416cc63ab4ddaa");
}

TEST_F(RenderNarTest, ALargeFileIsStreamed) {
  std::string content;
  for (int i = 0; content.size() < 3'000'001; ++i) content += std::to_string(i);
  struct Sink final : nix::NarSink {
    Result<void> write(ByteView bytes) override {
      nar.append(text_of(bytes));
      return {};
    }
    std::string nar;
  } sink;
  auto rendered = render_nar(ctx_, services_, file(content), sink);
  ASSERT_TRUE(rendered) << rendered.error().message();
  EXPECT_EQ(sink.nar.substr(96, content.size()), content);
  EXPECT_EQ(sink.nar.size() % 8, 0u);
}

TEST_F(RenderNarTest, MissingObjectsAreNotFoundAndNamedWithTheirPlace) {
  Digest digest = blake3("not in the store");
  expect_failure(FileNode{digest, 16, false}, ErrorKind::kCorrupt,
                 fmt::format("the root: the store does not have blob {}", digest));
  expect_failure(DirectoryNode{digest, 1}, ErrorKind::kCorrupt,
                 fmt::format("the root: the store does not have directory {}", digest));
  expect_failure(
      directory({{"a", file("x")}, {"b", directory({{"c\n", FileNode{digest, 16, false}}})}}),
      ErrorKind::kCorrupt, fmt::format("b/c\\x0a: the store does not have blob {}", digest));
  expect_failure(directory({{"b", directory({{"c", DirectoryNode{digest, 1}}})}}),
                 ErrorKind::kCorrupt,
                 fmt::format("b/c: the store does not have directory {}", digest));
}

TEST_F(RenderNarTest, ABlobOfAnotherLengthThanItsNodeIsCorrupt) {
  Digest hello = std::get<FileNode>(file("Hello World!")).digest;
  expect_failure(
      directory({{"a", FileNode{hello, 42, false}}}), ErrorKind::kCorrupt,
      fmt::format("a: blob {}: the contents end after 12 of the 42 bytes announced", hello));
  expect_failure(
      directory({{"a", FileNode{hello, 2, false}}}), ErrorKind::kCorrupt,
      fmt::format("a: blob {}: the contents are longer than the 2 bytes announced", hello));
}

TEST_F(RenderNarTest, ATreeMayBeAsDeepAsTheLimitAndNoDeeper) {
  Node node = directory({});
  for (size_t depth = 1; depth < kTreeDepthMax; ++depth) node = directory({{"d", node}});
  auto nar = summarize_nar(ctx_, services_, node);
  ASSERT_TRUE(nar) << nar.error().message();
  // The innermost alone is 96 bytes; each level around it adds 72 for a directory and 96 for the
  // entry in it.
  EXPECT_EQ(nar->size, 96 + (kTreeDepthMax - 1) * 168);
  auto deeper = summarize_nar(ctx_, services_, directory({{"d", node}}));
  ASSERT_FALSE(deeper);
  EXPECT_EQ(deeper.error().kind(), ErrorKind::kExhausted);
}

TEST_F(RenderNarTest, StopsWhenAskedTo) {
  Node root = complicated();
  std::stop_source source;
  source.request_stop();
  ctx_.stop = source.get_token();
  auto nar = summarize_nar(ctx_, services_, root);
  ASSERT_FALSE(nar);
  EXPECT_EQ(nar.error().kind(), ErrorKind::kCancelled);
}

TEST_F(RenderNarTest, FailuresOfTheSinkArePassedOn) {
  struct Sink final : nix::NarSink {
    Result<void> write(ByteView) override { return fail(ErrorKind::kExhausted, "no room"); }
  } sink;
  auto rendered = render_nar(ctx_, services_, complicated(), sink);
  ASSERT_FALSE(rendered);
  EXPECT_EQ(rendered.error().kind(), ErrorKind::kExhausted);
  EXPECT_EQ(rendered.error().message(), "no room");
}

}  // namespace
}  // namespace castore::transfer
