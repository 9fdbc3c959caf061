// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "backends/memory/memory_services.h"
#include "digest/blake3.h"
#include "store/testing/damaged_services.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/faulty_directory_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"
#include "transfer/render_nar.h"

namespace castore::transfer {
namespace {

using namespace store::testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string object_of(const Digest& digest, std::string_view kind) {
  return fmt::format("{} {}", kind, digest);
}

class Verify : public ::testing::Test {
 protected:
  Verify() {
    services_.blobs = blobs_;
    services_.directories = directories_;
    services_.path_infos = path_infos_;
  }

  // Registers a tree as an import does.
  nix::PathInfo add_path(const Node& node, std::string_view name) {
    nix::PathInfo info = info_of(node, name);
    must(services_.path_infos->put(ctx_, info));
    return info;
  }

  nix::PathInfo info_of(const Node& node, std::string_view name) {
    auto nar = must(summarize_nar(ctx_, services_, node));
    nix::PathInfo info = path_info(must(nix::store_path_of_nar(nar.sha256, name)), node);
    info.nar_size = nar.size;
    info.nar_sha256 = nar.sha256;
    info.content_address =
        nix::ContentAddress{nix::ContentAddress::Kind::kNarSha256,
                            std::vector<std::byte>(nar.sha256.begin(), nar.sha256.end())};
    return info;
  }

  // "kind object" of each finding.
  std::vector<std::string> check_store() {
    found_.clear();
    bool is_clean = must(verify_store(ctx_, services_, collect(), tally_));
    EXPECT_EQ(is_clean, found_.empty());
    return kinds_and_objects();
  }
  std::vector<std::string> check_tree(const Node& node) {
    found_.clear();
    bool is_clean = must(verify_tree(ctx_, services_, node, "the tree", collect(), tally_));
    EXPECT_EQ(is_clean, found_.empty());
    return kinds_and_objects();
  }
  std::vector<std::string> check_path(const nix::PathInfo& info) {
    found_.clear();
    bool is_clean = must(verify_path(ctx_, services_, info, collect(), tally_));
    EXPECT_EQ(is_clean, found_.empty());
    return kinds_and_objects();
  }

  OnFinding collect() {
    return [this](const Finding& finding) {
      EXPECT_FALSE(is_collecting_.exchange(true)) << "two calls at a time";
      found_.push_back(finding);
      is_collecting_ = false;
    };
  }
  std::vector<std::string> kinds_and_objects() const {
    std::vector<std::string> texts;
    for (const Finding& finding : found_)
      texts.push_back(fmt::format("{} {}", to_string(finding.kind), finding.object));
    return texts;
  }
  // What was said about an object.
  std::string detail(const std::string& object) const {
    for (const Finding& finding : found_)
      if (finding.object == object) return finding.detail;
    return "(nothing)";
  }

  Context ctx_;
  std::shared_ptr<DamagedBlobService> blobs_ =
      std::make_shared<DamagedBlobService>(backends::memory_blob_service());
  std::shared_ptr<DamagedDirectoryService> directories_ =
      std::make_shared<DamagedDirectoryService>(backends::memory_directory_service());
  std::shared_ptr<DamagedPathInfoService> path_infos_ =
      std::make_shared<DamagedPathInfoService>(backends::memory_path_info_service());
  store::Services services_;
  Tally tally_;
  std::vector<Finding> found_;
  std::atomic<bool> is_collecting_{false};
};

TEST_F(Verify, FindsNothingInAnEmptyStore) {
  EXPECT_THAT(check_store(), IsEmpty());
}

TEST_F(Verify, FindsNothingInASoundStoreAndCountsWhatItLookedAt) {
  add_path(put_mixed(services_), "mixed");
  add_path(put_mixed(services_, SizeConvention::kDoubled), "doubled");
  add_path(FileNode{hello_world_digest(), 12, true}, "file");
  add_path(SymlinkNode{must(SymlinkTarget::parse("/nowhere"))}, "link");
  put_complicated(services_);
  EXPECT_THAT(check_store(), IsEmpty());
  // "Hello World!", "#!/bin/sh\nexit 0\n" and "a". The empty blob is not stored.
  EXPECT_EQ(tally_.files, 3u + 1u);
  EXPECT_EQ(tally_.bytes, 12u + 17u + 1u);
}

TEST_F(Verify, FindsNothingInASoundTreeOrPath) {
  Node root = put_mixed(services_);
  EXPECT_THAT(check_tree(root), IsEmpty());
  EXPECT_EQ(tally_.directories, 3u);
  EXPECT_THAT(check_tree(put_deep(services_, 3000, "d")), IsEmpty());
  EXPECT_THAT(check_path(info_of(root, "mixed")), IsEmpty());
}

TEST_F(Verify, FindsAFlippedBitInABlob) {
  std::string content = noise(3'000'000, 1);
  nix::PathInfo info = add_path(TreeBuilder(services_).file("a/f", content).build(), "tree");
  std::string flipped = content;
  flipped[2'000'000] = static_cast<char>(flipped[2'000'000] ^ 4);
  blobs_->replace(blake3(content), flipped);

  const std::string blob = "corrupt " + object_of(blake3(content), "blob");
  const std::string path = "corrupt path " + info.store_path.absolute();
  EXPECT_THAT(check_store(), UnorderedElementsAre(blob, path));
  EXPECT_THAT(detail(object_of(blake3(content), "blob")), HasSubstr(blake3(flipped).to_text()));
  EXPECT_THAT(detail("path " + info.store_path.absolute()), HasSubstr("its content is damaged"));
  EXPECT_THAT(check_tree(info.node), UnorderedElementsAre(blob));
  EXPECT_THAT(check_path(info), UnorderedElementsAre(blob, path));
}

TEST_F(Verify, ABlobThatOpensAsCorruptIsAFinding) {
  Node root = TreeBuilder(services_).file("f", "content").build();
  blobs_->fail_open(blake3("content"), Error(ErrorKind::kCorrupt, "flipped"));
  const std::string blob = "corrupt " + object_of(blake3("content"), "blob");
  EXPECT_THAT(check_store(), UnorderedElementsAre(blob));
  EXPECT_EQ(detail(object_of(blake3("content"), "blob")), "flipped");
  EXPECT_THAT(check_tree(root), UnorderedElementsAre(blob));
}

TEST_F(Verify, AReadThatFailsAsCorruptIsAFinding) {
  put_blob(services_, "content");
  blobs_->replace(blake3("content"), "content");  // a reader that is not verified
  auto faulty = std::make_shared<FaultyBlobService>(blobs_);
  services_.blobs = faulty;
  faulty->faults().fail_all(BlobOperation::kReadAt, Error(ErrorKind::kCorrupt, "flipped"));
  EXPECT_THAT(check_store(),
              UnorderedElementsAre("corrupt " + object_of(blake3("content"), "blob")));
}

TEST_F(Verify, FindsABlobThatWasCutShort) {
  put_blob(services_, "content");
  blobs_->replace(blake3("content"), "conte");
  EXPECT_THAT(check_store(),
              UnorderedElementsAre("corrupt " + object_of(blake3("content"), "blob")));
  EXPECT_THAT(detail(object_of(blake3("content"), "blob")), HasSubstr("7 bytes, and it has 5"));
}

TEST_F(Verify, NamesAReferrerOfAMissingBlob) {
  Node root = TreeBuilder(services_)
                  .node("a/b/f", FileNode{unknown_digest(), 5, false})
                  .node("z", FileNode{unknown_digest(), 5, false})
                  .build();
  const std::string blob = object_of(unknown_digest(), "blob");
  EXPECT_THAT(check_tree(root), UnorderedElementsAre("missing " + blob));
  EXPECT_THAT(detail(blob), HasSubstr("the tree/a/b/f"));
  EXPECT_THAT(check_store(), UnorderedElementsAre("missing " + blob));
  EXPECT_THAT(detail(blob), HasSubstr("directory blake3-"));
}

TEST_F(Verify, NamesTheStorePathThatAMissingObjectBelongsTo) {
  put_blob(services_, "content");
  nix::PathInfo info = add_path(TreeBuilder(services_).file("a/f", "content").build(), "tree");
  blobs_->lose(blake3("content"));
  const std::string path = "path " + info.store_path.absolute();
  EXPECT_THAT(check_store(), UnorderedElementsAre("missing " + object_of(blake3("content"), "blob"),
                                                  "corrupt " + path));
  EXPECT_THAT(
      check_path(info),
      UnorderedElementsAre("missing " + object_of(blake3("content"), "blob"), "corrupt " + path));
  EXPECT_THAT(detail(object_of(blake3("content"), "blob")),
              HasSubstr(info.store_path.absolute() + "/a/f"));
}

TEST_F(Verify, NamesAReferrerOfAMissingDirectory) {
  Node root = TreeBuilder(services_).node("a/d", DirectoryNode{unknown_digest(), 5}).build();
  const std::string directory = object_of(unknown_digest(), "directory");
  EXPECT_THAT(check_tree(root), UnorderedElementsAre("missing " + directory));
  EXPECT_THAT(detail(directory), HasSubstr("the tree/a/d"));
  EXPECT_THAT(check_store(), UnorderedElementsAre("missing " + directory));
}

TEST_F(Verify, ABlobIsNoDirectoryAndADirectoryNoBlob) {
  put_blob(services_, kHelloWorld);
  must(services_.directories->put(ctx_, directory_b()));
  Node root = TreeBuilder(services_)
                  .node("d", DirectoryNode{hello_world_digest(), 1})
                  .node("f", FileNode{directory_b().digest(), 39, false})
                  .build();
  EXPECT_THAT(check_tree(root),
              UnorderedElementsAre("missing " + object_of(hello_world_digest(), "directory"),
                                   "missing " + object_of(directory_b().digest(), "blob")));
}

TEST_F(Verify, ADamagedDirectoryIsAFinding) {
  Node root = put_mixed(services_);
  const Digest doc =
      digest_of_hex("a155e63ed78b38846bdcd6422154be34027758d17b91d94334238ab12531ac67");
  directories_->fail_get(doc, Error(ErrorKind::kCorrupt, "flipped"));
  EXPECT_THAT(check_tree(root), UnorderedElementsAre("corrupt " + object_of(doc, "directory")));
  EXPECT_THAT(check_store(), UnorderedElementsAre("corrupt " + object_of(doc, "directory")));
  EXPECT_EQ(detail(object_of(doc, "directory")), "flipped");
}

TEST_F(Verify, ADirectoryThatIsListedAndGoneIsAFinding) {
  Node root = put_mixed(services_);
  const Digest digest = std::get<DirectoryNode>(root).digest;
  directories_->lose(digest);
  EXPECT_THAT(check_store(), UnorderedElementsAre("missing " + object_of(digest, "directory")));
}

TEST_F(Verify, FindsAWrongSizeOfAFileInItsDirectory) {
  put_blob(services_, kHelloWorld);
  Node root = TreeBuilder(services_)
                  .node("right", FileNode{hello_world_digest(), 12, false})
                  .node("wrong", FileNode{hello_world_digest(), 13, false})
                  .build();
  const std::string directory = object_of(std::get<DirectoryNode>(root).digest, "directory");
  EXPECT_THAT(check_tree(root), UnorderedElementsAre("corrupt " + directory));
  EXPECT_THAT(detail(directory), HasSubstr("13 bytes for the tree/wrong"));
  EXPECT_THAT(check_store(), UnorderedElementsAre("corrupt " + directory));
}

TEST_F(Verify, FindsAWrongSizeOfADirectoryInItsParent) {
  must(services_.directories->put(ctx_, directory_with_keep()));
  auto tree_with = [&](uint64_t size) {
    return TreeBuilder(services_)
        .node("a", DirectoryNode{directory_with_keep().digest(), 1})
        .node("b", DirectoryNode{directory_with_keep().digest(), size})
        .build();
  };
  EXPECT_THAT(check_tree(tree_with(1)), IsEmpty());
  EXPECT_THAT(check_tree(tree_with(2)), IsEmpty()) << "the other convention";
  for (uint64_t size : {0, 3}) {
    Node root = tree_with(size);
    const std::string directory = object_of(std::get<DirectoryNode>(root).digest, "directory");
    EXPECT_THAT(check_tree(root), UnorderedElementsAre("corrupt " + directory)) << size;
    EXPECT_THAT(detail(directory), HasSubstr(fmt::format("size {} for the tree/b", size)));
  }
  EXPECT_EQ(check_store().size(), 2u);
}

TEST_F(Verify, FindsAWrongSizeInTheRecordOfAPath) {
  put_blob(services_, kHelloWorld);
  nix::PathInfo info = info_of(FileNode{hello_world_digest(), 12, false}, "file");
  info.node = FileNode{hello_world_digest(), 10, false};
  must(services_.path_infos->put(ctx_, info));
  const std::string path = "corrupt path " + info.store_path.absolute();
  EXPECT_THAT(check_store(), UnorderedElementsAre(path));
  EXPECT_THAT(check_path(info), UnorderedElementsAre(path));
}

TEST_F(Verify, FindsAWrongNarHashOrSize) {
  nix::PathInfo info = info_of(put_mixed(services_), "mixed");
  const std::string path = "corrupt path " + info.store_path.absolute();
  nix::PathInfo wrong_hash = info;
  wrong_hash.nar_sha256[5] ^= std::byte{1};
  EXPECT_THAT(check_path(wrong_hash), UnorderedElementsAre(path));
  must(services_.path_infos->put(ctx_, wrong_hash));
  EXPECT_THAT(check_store(), UnorderedElementsAre(path));
  EXPECT_THAT(detail("path " + info.store_path.absolute()), HasSubstr(to_sri(info.nar_sha256)));
  nix::PathInfo wrong_size = info;
  wrong_size.nar_size += 8;
  EXPECT_THAT(check_path(wrong_size), UnorderedElementsAre(path));
  must(services_.path_infos->put(ctx_, wrong_size));
  EXPECT_THAT(check_store(), UnorderedElementsAre(path));
}

TEST_F(Verify, FindsAPathThatDoesNotFollowFromItsContent) {
  nix::PathInfo info = info_of(put_mixed(services_), "mixed");
  const nix::StorePath right = info.store_path;
  info.store_path = store_path(9, "mixed");
  must(services_.path_infos->put(ctx_, info));
  const std::string path = "path " + info.store_path.absolute();
  EXPECT_THAT(check_store(), UnorderedElementsAre("misnamed " + path));
  EXPECT_THAT(detail(path), HasSubstr(right.absolute()));
}

TEST_F(Verify, FindsAContentAddressThatIsNotTheNarHash) {
  nix::PathInfo info = info_of(put_mixed(services_), "mixed");
  info.content_address->digest[0] ^= std::byte{1};
  const std::string path = "corrupt path " + info.store_path.absolute();
  EXPECT_THAT(check_path(info), UnorderedElementsAre(path));
  info.content_address->digest.resize(20);
  EXPECT_THAT(check_path(info), UnorderedElementsAre(path));
}

TEST_F(Verify, APathWithoutAContentAddressMayHaveAnyName) {
  nix::PathInfo info = info_of(put_mixed(services_), "mixed");
  info.store_path = store_path(9, "built");
  info.content_address.reset();
  EXPECT_THAT(check_path(info), IsEmpty());
}

TEST_F(Verify, ReferencesCountInThePathAndMustBeRegistered) {
  const nix::PathInfo one = add_path(put_mixed(services_), "one");
  const nix::PathInfo two = add_path(put_complicated(services_), "two");
  nix::PathInfo info = info_of(put_mixed(services_), "three");
  info.references = {one.store_path, two.store_path};
  if (two.store_path.digest() < one.store_path.digest())
    std::swap(info.references[0], info.references[1]);
  EXPECT_THAT(check_path(info),
              UnorderedElementsAre("misnamed path " + info.store_path.absolute()));
  info.store_path = must(nix::store_path_of_nar(info.nar_sha256, "three", info.references, false));
  EXPECT_THAT(check_path(info), IsEmpty());

  const nix::StorePath gone = store_path(7, "gone");
  info.references = {gone};
  info.content_address.reset();
  EXPECT_THAT(check_path(info), UnorderedElementsAre("missing path " + gone.absolute()));
  EXPECT_THAT(detail("path " + gone.absolute()), HasSubstr(info.store_path.absolute()));
}

TEST_F(Verify, APathMayReferToItself) {
  nix::PathInfo info = info_of(put_mixed(services_), "self");
  // As Nix does, of the NAR with its own path blotted out: not the hash of the NAR.
  Sha256 blotted = sha256(bytes_of("blotted"));
  info.content_address->digest.assign(blotted.begin(), blotted.end());
  info.store_path = must(nix::store_path_of_nar(blotted, "self", {}, true));
  info.references = {info.store_path};
  EXPECT_THAT(check_path(info), IsEmpty());
}

TEST_F(Verify, ADamagedRecordIsAFindingAndTheOthersAreChecked) {
  const nix::PathInfo one = add_path(put_mixed(services_), "one");
  nix::PathInfo two = info_of(put_mixed(services_), "two");
  two.nar_size = 1;
  must(services_.path_infos->put(ctx_, two));
  path_infos_->damage(one.store_path.digest(), Error(ErrorKind::kCorrupt, "flipped"));
  EXPECT_THAT(check_store(),
              UnorderedElementsAre("corrupt path /nix/store/" + one.store_path.digest().to_text(),
                                   "corrupt path " + two.store_path.absolute()));
}

TEST_F(Verify, ARecordUnderAnotherDigestIsMisnamed) {
  const nix::PathInfo one = add_path(put_mixed(services_), "one");
  const nix::PathInfo two = add_path(put_mixed(services_), "two");
  path_infos_->replace(one.store_path.digest(), two);
  EXPECT_THAT(check_store(), UnorderedElementsAre("misnamed path /nix/store/" +
                                                  one.store_path.digest().to_text()));
}

TEST_F(Verify, EqualTreesAreWalkedOnceAndRenderedOnce) {
  Node root = TreeBuilder(services_).file("a/f", "content").file("b/f", "content").build();
  for (int i = 0; i < 10; ++i) add_path(root, "name-" + std::to_string(i));
  auto counting_blobs = std::make_shared<FaultyBlobService>(services_.blobs);
  auto counting_directories = std::make_shared<FaultyDirectoryService>(services_.directories);
  services_.blobs = counting_blobs;
  services_.directories = counting_directories;
  EXPECT_THAT(check_store(), IsEmpty());
  // Once to check it, twice for the one NAR.
  EXPECT_EQ(counting_blobs->faults().calls(BlobOperation::kOpen), 1u + 2u);
  // "a" and "b" are one directory: two to walk, three in the NAR.
  EXPECT_EQ(counting_directories->faults().calls(DirectoryOperation::kGet), 2u + 3u);
}

TEST_F(Verify, ATreeOfManySharedDirectoriesTakesNoLonger) {
  // 2^60 files, if each place were visited.
  Node node = TreeBuilder(services_).file("f", "content").build();
  for (int level = 0; level < 60; ++level)
    node = TreeBuilder(services_).node("a", node).node("b", node).build();
  EXPECT_THAT(check_tree(node), IsEmpty());
  EXPECT_EQ(tally_.directories, 61u);
}

TEST_F(Verify, AllOfManyFindingsAreReported) {
  TreeBuilder tree(services_);
  for (int i = 0; i < 500; ++i) {
    tree.file(std::to_string(i), std::to_string(i));
    blobs_->replace(blake3(std::to_string(i)), "x" + std::to_string(i));
  }
  Node root = tree.build();
  EXPECT_EQ(check_store().size(), 500u);
  // Each file's size is wrong too, for which one directory is to blame.
  EXPECT_EQ(check_tree(root).size(), 501u);
}

TEST_F(Verify, FailsWhenTheStoreFails) {
  Node root = put_mixed(services_);
  auto faulty = std::make_shared<FaultyBlobService>(services_.blobs);
  services_.blobs = faulty;
  faulty->faults().fail_all(BlobOperation::kOpen, Error(ErrorKind::kUnavailable, "broken"));
  for (auto result : {verify_store(ctx_, services_, collect(), tally_),
                      verify_tree(ctx_, services_, root, "tree", collect(), tally_)}) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().kind(), ErrorKind::kUnavailable);
    EXPECT_THAT(result.error().message(), HasSubstr("checking blob blake3-"));
  }
  EXPECT_THAT(found_, IsEmpty());
}

TEST_F(Verify, StopsWhenAsked) {
  Node root = put_mixed(services_);
  std::stop_source stop;
  stop.request_stop();
  ctx_.stop = stop.get_token();
  auto result = verify_tree(ctx_, services_, root, "tree", collect(), tally_);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kCancelled);
}

}  // namespace
}  // namespace castore::transfer
