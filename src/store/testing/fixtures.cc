// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/testing/fixtures.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/hex.h"
#include "digest/blake3.h"
#include "digest/sha256.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"

namespace castore::store::testing {
namespace {

Digest digest_starting_with(std::byte first) {
  std::array<std::byte, Digest::kBytes> bytes{};
  bytes[0] = first;
  return Digest(bytes);
}

DirectoryNode node_of(const Directory& directory, SizeConvention convention) {
  return {directory.digest(), directory.size(convention)};
}

}  // namespace

Digest digest_of_hex(std::string_view hex) {
  auto bytes = hex_decode(hex);
  CASTORE_CHECK(bytes.has_value(), "a fixture's digest is not hexadecimal");
  return must(Digest::from_bytes(*bytes));
}

std::string blob_a() {
  return {'\0', '\1'};
}

std::string blob_b() {
  std::string bytes;
  bytes.reserve(size_t{255} * 4096);
  for (int round = 0; round < 4096; ++round)
    for (int value = 0; value < 255; ++value) bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string shastream() {
  std::string bytes;
  for (uint64_t i = 0; i < 65536; ++i) {
    std::array<std::byte, 8> counter{};
    for (size_t byte = 0; byte < counter.size(); ++byte)
      counter[byte] = static_cast<std::byte>(i >> (8 * byte));
    bytes += text_of(sha256(counter));
  }
  return bytes;
}

const Digest& hello_world_digest() {
  static const Digest digest =
      digest_of_hex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
  return digest;
}
const Digest& blob_a_digest() {
  static const Digest digest =
      digest_of_hex("7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63");
  return digest;
}
const Digest& blob_b_digest() {
  static const Digest digest =
      digest_of_hex("a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2");
  return digest;
}
const Digest& shastream_digest() {
  static const Digest digest =
      digest_of_hex("ed41a6dd468aa13441d3c3e846b05d3e46f10733a2b06780d80f32530ac376de");
  return digest;
}

const Digest& unknown_digest() {
  static const Digest digest;
  return digest;
}
const Digest& another_unknown_digest() {
  static const Digest digest = digest_starting_with(std::byte{0x10});
  return digest;
}

std::string noise(size_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string out(bytes, '\0');
  for (size_t offset = 0; offset < bytes; offset += sizeof(uint64_t)) {
    uint64_t word = random();
    std::memcpy(out.data() + offset, &word, std::min(sizeof word, bytes - offset));
  }
  return out;
}

Directory directory_with_keep() {
  DirectoryBuilder builder;
  must(builder.add(".keep", FileNode{blake3(""), 0, false}));
  return must(builder.build());
}

Directory directory_b() {
  DirectoryBuilder builder;
  must(builder.add("a", node_of(Directory(), SizeConvention::kDocumented)));
  return must(builder.build());
}

Directory directory_c() {
  DirectoryBuilder builder;
  must(builder.add("a", node_of(Directory(), SizeConvention::kDocumented)));
  must(builder.add("a'", node_of(Directory(), SizeConvention::kDocumented)));
  return must(builder.build());
}

Directory directory_d(SizeConvention convention) {
  DirectoryBuilder builder;
  must(builder.add("a", node_of(Directory(), convention)));
  must(builder.add("b", node_of(directory_b(), convention)));
  return must(builder.build());
}

Directory directory_complicated(SizeConvention convention) {
  DirectoryBuilder builder;
  must(builder.add(".keep", FileNode{blake3(""), 0, false}));
  must(builder.add("aa", SymlinkNode{must(SymlinkTarget::parse("/nix/store/somewhereelse"))}));
  must(builder.add("keep", node_of(directory_with_keep(), convention)));
  return must(builder.build());
}

Node put_complicated(const Services& services, SizeConvention convention) {
  return TreeBuilder(services)
      .file(".keep", "")
      .symlink("aa", "/nix/store/somewhereelse")
      .file("keep/.keep", "")
      .build(convention);
}

Node put_mixed(const Services& services, SizeConvention convention) {
  return TreeBuilder(services)
      .file("README", kHelloWorld)
      .file("bin/run", "#!/bin/sh\nexit 0\n", true)
      .file("doc/a", "a")
      .symlink("doc/b", "a")
      .symlink("z", "bin/run")
      .build(convention);
}

Node put_deep(const Services& services, size_t depth, std::string_view name) {
  Node node = TreeBuilder(services).file("bottom", kHelloWorld).build();
  for (size_t level = 0; level < depth; ++level) {
    DirectoryBuilder builder;
    must(builder.add(name, node));
    Directory directory = must(builder.build());
    Digest digest = must(services.directories->put(Context(), directory));
    node = DirectoryNode{digest, directory.size(SizeConvention::kDocumented)};
  }
  return node;
}

Digest put_blob(const Services& services, std::string_view content) {
  return must(services.blobs->put(Context(), blake3(content), Bytes::copy_of(content))).digest;
}

nix::StorePath store_path(uint64_t seed, std::string name) {
  Sha256 hash = sha256(bytes_of(std::to_string(seed)));
  std::array<std::byte, nix::StorePathDigest::kBytes> bytes;
  std::copy_n(hash.begin(), bytes.size(), bytes.begin());
  return must(nix::StorePath::make(nix::StorePathDigest(bytes), std::move(name)));
}

nix::PathInfo path_info(nix::StorePath path, Node node) {
  Sha256 hash = sha256(bytes_of(path.base_name()));
  return nix::PathInfo{.store_path = std::move(path),
                       .node = std::move(node),
                       .references = {},
                       .nar_size = 1234,
                       .nar_sha256 = hash,
                       .signatures = {},
                       .deriver = std::nullopt,
                       .content_address = std::nullopt};
}

}  // namespace castore::store::testing
