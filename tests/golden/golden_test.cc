// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Builds the trees and blobs of README.md beside this file and compares with what was recorded.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/memory/memory_services.h"
#include "base/hex.h"
#include "digest/blake3.h"
#include "digest/sha256.h"
#include "model/directory.h"
#include "nix/path_info.h"
#include "nix/store_path.h"
#include "transfer/render_nar.h"

namespace castore {
namespace {

using nlohmann::json;

json load(const char* name) {
  std::ifstream file(std::string(CASTORE_GOLDEN_FOLDER) + "/" + name);
  return json::parse(file);
}

std::string unhex(std::string_view hex) {
  auto bytes = hex_decode(hex);
  EXPECT_TRUE(bytes) << hex;
  return bytes ? std::string(text_of(*bytes)) : "";
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
    i += 2;
  }
  return out;
}

const std::string& sha_stream() {
  static const std::string stream = [] {
    std::string bytes;
    for (uint64_t i = 0; i < 65536; ++i) {
      std::string number;
      for (int shift = 0; shift < 64; shift += 8)
        number.push_back(static_cast<char>(i >> shift & 0xff));
      bytes += text_of(sha256(bytes_of(number)));
    }
    return bytes;
  }();
  return stream;
}

std::string blob_named(const std::string& name) {
  if (name == "EMPTY") return "";
  if (name == "HELLOWORLD") return "Hello World!";
  if (name == "BLOB_A") return std::string("\0\1", 2);
  if (name == "BLOB_B") {
    std::string bytes;
    for (int i = 0; i < 4096; ++i)
      for (int value = 0; value < 255; ++value) bytes.push_back(static_cast<char>(value));
    return bytes;
  }
  if (name == "ZEROS_1MIB") return std::string(1048576, '\0');
  if (name == "ZEROS_5MB") return std::string(5000000, '\0');
  if (name == "SHASTREAM") return sha_stream();
  if (name == "SHASTREAM*3") return sha_stream() + sha_stream() + sha_stream();
  if (name == "SHASTREAM[1:]") return sha_stream().substr(1);
  if (name.starts_with("SHASTREAM[:"))
    return sha_stream().substr(0, std::stoul(name.substr(std::string_view("SHASTREAM[:").size())));
  ADD_FAILURE() << "a blob of unknown name " << name;
  return "";
}

// One node of a tree, by its path.
struct Item {
  std::string path;  // "" is the root
  std::string type;
  std::string content;  // or the target
  bool executable = false;
};

std::vector<Item> items_of(const json& tree) {
  std::vector<Item> items;
  if (tree.at("kind") == "directory") items.push_back({"", "directory", "", false});
  if (tree.contains("contents_rule")) {
    EXPECT_EQ(tree.at("contents_rule"),
              "files 000..999, file i holds the decimal text of i, executable where i mod 10 = 0");
    for (int i = 0; i < 1000; ++i)
      items.push_back({fmt::format("{:03}", i), "file", std::to_string(i), i % 10 == 0});
    return items;
  }
  for (const json& entry : tree.at("contents")) {
    Item item;
    item.path = percent_decode(entry.at("path").get<std::string>());
    item.type = entry.at("type");
    if (entry.contains("content_name"))
      item.content = blob_named(entry.at("content_name").get<std::string>());
    if (entry.contains("content"))
      item.content = percent_decode(entry.at("content").get<std::string>());
    if (entry.contains("target"))
      item.content = percent_decode(entry.at("target").get<std::string>());
    item.executable = entry.value("executable", false);
    items.push_back(std::move(item));
  }
  return items;
}

// Puts a tree into `services`, children first, and gives its root.
Node build_tree(const store::Services& services, const json& tree, SizeConvention convention) {
  std::vector<Item> items = items_of(tree);
  // A child's path is longer than its parent's.
  std::ranges::stable_sort(items, std::ranges::greater(),
                           [](const Item& item) { return item.path.size(); });
  std::map<std::string, DirectoryBuilder> open;
  Node last = DirectoryNode{};
  for (const Item& item : items) {
    if (item.type == "directory") {
      auto directory = open[item.path].build();
      EXPECT_TRUE(directory) << item.path;
      auto digest = services.directories->put(Context(), *directory);
      EXPECT_TRUE(digest);
      last = DirectoryNode{*digest, directory->size(convention)};
    } else if (item.type == "file") {
      Digest digest = blake3(item.content);
      EXPECT_TRUE(services.blobs->put(Context(), digest, Bytes::copy_of(item.content)));
      last = FileNode{digest, item.content.size(), item.executable};
    } else {
      last = SymlinkNode{*SymlinkTarget::parse(item.content)};
    }
    if (item.path.empty()) break;
    size_t slash = item.path.rfind('/');
    std::string parent = slash == item.path.npos ? "" : item.path.substr(0, slash);
    EXPECT_TRUE(open[parent].add(item.path.substr(slash + 1), last)) << item.path;
  }
  return last;
}

std::string digest_of(const Node& node) {
  if (auto* directory = std::get_if<DirectoryNode>(&node)) return directory->digest.to_text();
  return std::get<FileNode>(node).digest.to_text();
}

uint64_t size_of(const Node& node) {
  if (auto* directory = std::get_if<DirectoryNode>(&node)) return directory->size;
  return std::get<FileNode>(node).size;
}

class GoldenTreeTest : public testing::TestWithParam<json> {
 protected:
  const json& tree() const { return GetParam(); }

  store::Services services_ = backends::memory_services();
  Node documented_ = build_tree(services_, tree(), SizeConvention::kDocumented);
  // Peers record this one; it has a store of its own so that nothing else is in there.
  store::Services doubled_services_ = backends::memory_services();
  Node doubled_ = build_tree(doubled_services_, tree(), SizeConvention::kDoubled);
};

TEST_P(GoldenTreeTest, TheRootHasTheRecordedDigestAndSize) {
  EXPECT_EQ(to_string(kind_of(documented_)), tree().at("kind").get<std::string>());
  if (!tree().contains("root")) {
    EXPECT_EQ(kind_of(documented_), NodeKind::kSymlink);
    return;
  }
  const json& root = tree().at("root");
  EXPECT_EQ(digest_of(documented_), root.at("documented").at("digest").get<std::string>());
  EXPECT_EQ(size_of(documented_), root.at("documented").at("size"));
  EXPECT_EQ(digest_of(doubled_), root.at("doubled").at("digest").get<std::string>());
  EXPECT_EQ(size_of(doubled_), root.at("doubled").at("size"));
}

TEST_P(GoldenTreeTest, EveryDirectoryHasTheRecordedBytes) {
  if (!tree().contains("closure_root_first")) return;
  std::set<Digest> recorded{blake3("")};
  for (const json& item : tree().at("closure_root_first")) {
    std::string bytes = unhex(item.at("bytes").get<std::string>());
    auto directory = Directory::decode(Bytes::copy_of(bytes));
    ASSERT_TRUE(directory) << directory.error().message();
    EXPECT_EQ(directory->digest().to_hex(), item.at("blake3").get<std::string>());
    auto stored = doubled_services_.directories->get(Context(), directory->digest());
    ASSERT_TRUE(stored);
    ASSERT_NE(*stored, nullptr) << "we made no such directory: " << item.at("blake3");
    EXPECT_EQ((*stored)->encoded().text(), bytes);
    recorded.insert(directory->digest());
  }
  std::set<Digest> made{blake3("")};
  ASSERT_TRUE(
      doubled_services_.directories->list(Context(), [&](const Digest& digest) -> Result<void> {
        made.insert(digest);
        return {};
      }));
  EXPECT_EQ(made, recorded);
}

TEST_P(GoldenTreeTest, TheEntryHasTheRecordedBytes) {
  std::string bytes = encode_entry("", doubled_);
  EXPECT_EQ(hex_encode(bytes_of(bytes)), tree().at("entry").get<std::string>());
  auto decoded = decode_entry(bytes_of(unhex(tree().at("entry").get<std::string>())));
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(decoded->node, doubled_);
  EXPECT_EQ(decoded->name, "");
}

TEST_P(GoldenTreeTest, TheNarHasTheRecordedSizeAndHash) {
  for (auto& [services, root] :
       {std::pair(&services_, &documented_), std::pair(&doubled_services_, &doubled_)}) {
    auto nar = transfer::summarize_nar(Context(), *services, *root);
    ASSERT_TRUE(nar) << nar.error().message();
    EXPECT_EQ(nar->size, tree().at("nar_size"));
    EXPECT_EQ(hex_encode(nar->sha256), tree().at("nar_sha256").get<std::string>());
    EXPECT_EQ(to_sri(nar->sha256), tree().at("nar_sha256_sri").get<std::string>());
  }
}

TEST_P(GoldenTreeTest, TheStorePathIsTheRecordedOne) {
  auto nar = transfer::summarize_nar(Context(), services_, documented_);
  ASSERT_TRUE(nar) << nar.error().message();
  auto path = nix::store_path_of_nar(nar->sha256, tree().at("name").get<std::string>());
  ASSERT_TRUE(path) << path.error().message();
  EXPECT_EQ(path->absolute(), tree().at("store_path").get<std::string>());
}

TEST_P(GoldenTreeTest, ThePathInfoHasTheRecordedBytes) {
  auto nar = transfer::summarize_nar(Context(), doubled_services_, doubled_);
  ASSERT_TRUE(nar) << nar.error().message();
  auto path = nix::StorePath::parse_absolute(tree().at("store_path").get<std::string>());
  ASSERT_TRUE(path) << path.error().message();
  nix::PathInfo info{
      .store_path = *path,
      .node = doubled_,
      .nar_size = nar->size,
      .nar_sha256 = nar->sha256,
      .content_address = nix::ContentAddress{nix::ContentAddress::Kind::kNarSha256,
                                             {nar->sha256.begin(), nar->sha256.end()}}};
  EXPECT_EQ(hex_encode(bytes_of(nix::encode_path_info(info))),
            tree().at("path_info").get<std::string>());
  std::string bytes = unhex(tree().at("path_info").get<std::string>());
  auto decoded = nix::decode_path_info(bytes_of(bytes));
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(*decoded, info);
}

// Test names take letters and digits only.
std::string name_of_tree(const testing::TestParamInfo<json>& info) {
  std::string name = info.param.at("name");
  std::ranges::replace_if(name, [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(, GoldenTreeTest, testing::ValuesIn(load("trees.json").at("trees")),
                         name_of_tree);

TEST(GoldenBlobTest, EveryBlobHasTheRecordedLengthAndDigest) {
  const json recorded = load("blobs.json");
  ASSERT_FALSE(recorded.at("blobs").empty());
  for (const json& blob : recorded.at("blobs")) {
    std::string bytes = blob_named(blob.at("name").get<std::string>());
    EXPECT_EQ(bytes.size(), blob.at("length")) << blob.at("name");
    EXPECT_EQ(blake3(bytes).to_hex(), blob.at("blake3").get<std::string>()) << blob.at("name");
  }
}

}  // namespace
}  // namespace castore
