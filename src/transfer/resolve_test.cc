// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/resolve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "backends/memory/memory_services.h"
#include "digest/blake3.h"
#include "store/testing/damaged_services.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"

namespace castore::transfer {
namespace {

using namespace store::testing;

class Resolve : public ::testing::Test {
 protected:
  Resolve() { must(services_.path_infos->put(ctx_, path_info(path_, root_))); }

  Result<Resolved> find(std::string_view reference) { return resolve(ctx_, services_, reference); }

  // The error's message, which must be of that kind.
  std::string refusal(std::string_view reference, ErrorKind kind) {
    auto result = find(reference);
    if (result) return "(found)";
    EXPECT_EQ(to_string(result.error().kind()), to_string(kind)) << result.error().message();
    return result.error().message();
  }

  Context ctx_;
  store::Services services_ = backends::memory_services();
  const Node root_ = put_mixed(services_);
  const nix::StorePath path_ = store_path(1, "mixed");
  const Digest root_digest_ = std::get<DirectoryNode>(root_).digest;
};

TEST_F(Resolve, FindsAStorePathAndItsBaseName) {
  for (const std::string& reference :
       {path_.absolute(), path_.base_name(), path_.absolute() + "/", path_.base_name() + "///"}) {
    Resolved found = must(find(reference));
    EXPECT_EQ(found.node, root_) << reference;
    ASSERT_TRUE(found.path_info.has_value()) << reference;
    EXPECT_EQ(found.path_info->store_path, path_);
    EXPECT_EQ(found.sub_path, "");
  }
}

TEST_F(Resolve, GoesDownFromAStorePath) {
  for (const std::string& base : {path_.absolute(), path_.base_name()}) {
    Resolved run = must(find(base + "/bin/run"));
    ASSERT_TRUE(std::holds_alternative<FileNode>(run.node));
    EXPECT_TRUE(std::get<FileNode>(run.node).executable);
    EXPECT_EQ(run.sub_path, "bin/run");
    EXPECT_TRUE(run.path_info.has_value());

    Resolved doc = must(find(base + "/doc/"));
    EXPECT_TRUE(std::holds_alternative<DirectoryNode>(doc.node));
    EXPECT_EQ(doc.sub_path, "doc");
  }
}

TEST_F(Resolve, ASymlinkAtTheEndIsGivenItself) {
  Resolved found = must(find(path_.base_name() + "/z"));
  ASSERT_TRUE(std::holds_alternative<SymlinkNode>(found.node));
  EXPECT_EQ(std::get<SymlinkNode>(found.node).target.text(), "bin/run");
}

TEST_F(Resolve, FindsADirectoryByItsDigest) {
  Resolved found = must(find(root_digest_.to_text()));
  EXPECT_EQ(found.node, root_);
  EXPECT_FALSE(found.path_info.has_value());
  EXPECT_EQ(must(find(root_digest_.to_text() + "/")).sub_path, "");
  Resolved below = must(find(root_digest_.to_text() + "/doc/a"));
  EXPECT_EQ(below.sub_path, "doc/a");
  EXPECT_EQ(std::get<FileNode>(below.node).digest, blake3("a"));
}

TEST_F(Resolve, FindsABlobByItsDigest) {
  Resolved found = must(find(hello_world_digest().to_text()));
  EXPECT_EQ(found.node, Node(FileNode(hello_world_digest(), 12, false)));
}

TEST_F(Resolve, ADigestMayContainSlashes) {
  // The first numbers whose texts give digests with a slash.
  int with_slash = 0;
  for (int i = 0; with_slash < 5; ++i) {
    std::string content = std::to_string(i);
    Directory directory;
    {
      DirectoryBuilder builder;
      must(builder.add("name", FileNode{blake3(content), content.size(), false}));
      directory = must(builder.build());
    }
    std::string text = directory.digest().to_text();
    if (text.find('/') == text.npos) continue;
    ++with_slash;
    put_blob(services_, content);
    must(services_.directories->put(ctx_, directory));
    EXPECT_EQ(std::get<DirectoryNode>(must(find(text)).node).digest, directory.digest());
    EXPECT_EQ(must(find(text + "/name")).sub_path, "name");
  }
}

TEST_F(Resolve, ReadsTheOlderFormOfDigests) {
  std::string text = "b3:" + root_digest_.to_text().substr(std::string_view("blake3-").size());
  EXPECT_EQ(must(find(text)).node, root_);
  EXPECT_EQ(must(find(text + "/doc/a")).sub_path, "doc/a");
}

TEST_F(Resolve, TheEmptyDigestIsTheEmptyDirectory) {
  EXPECT_EQ(must(find(blake3("").to_text())).node, Node(DirectoryNode(blake3(""), 0)));
}

TEST_F(Resolve, SaysThatAStorePathIsNotThere) {
  const nix::StorePath other = store_path(2, "other");
  EXPECT_EQ(refusal(other.absolute(), ErrorKind::kNotFound),
            other.absolute() + " is not in the store");
  EXPECT_EQ(refusal(other.base_name() + "/a/b", ErrorKind::kNotFound),
            other.absolute() + " is not in the store");
}

TEST_F(Resolve, SaysThatTheDigestHasAnotherName) {
  const nix::StorePath renamed = store_path(1, "renamed");
  EXPECT_EQ(refusal(renamed.absolute(), ErrorKind::kNotFound),
            renamed.absolute() + " is not in the store, which has " + path_.absolute() +
                " of that digest");
}

TEST_F(Resolve, SaysThatADigestIsNotThere) {
  EXPECT_EQ(refusal(unknown_digest().to_text(), ErrorKind::kNotFound),
            unknown_digest().to_text() + " is not in the store, as a directory or as a blob");
}

TEST_F(Resolve, SaysWhichPartOfAPathIsNotThere) {
  const std::string base = path_.base_name();
  EXPECT_EQ(refusal(base + "/nope", ErrorKind::kNotFound), "there is no 'nope' in " + base);
  EXPECT_EQ(refusal(base + "/doc/nope/deeper", ErrorKind::kNotFound),
            "there is no 'nope' in " + base + "/doc");
  EXPECT_EQ(refusal(base + "/doc/a/below", ErrorKind::kNotFound),
            "there is no 'below' in " + base + "/doc/a: that is a file");
  EXPECT_EQ(refusal(base + "/z/below", ErrorKind::kNotFound),
            "there is no 'below' in " + base +
                "/z: that is a symlink to 'bin/run', and symlinks are not followed");
  EXPECT_EQ(refusal(hello_world_digest().to_text() + "/x", ErrorKind::kNotFound),
            "there is no 'x' in " + hello_world_digest().to_text() + ": that is a file");
}

TEST_F(Resolve, SaysThatADirectoryOnTheWayIsNotStored) {
  Node broken = TreeBuilder(services_).node("gone", DirectoryNode{unknown_digest(), 3}).build();
  std::string text = std::get<DirectoryNode>(broken).digest.to_text();
  EXPECT_EQ(refusal(text + "/gone/x", ErrorKind::kCorrupt), "the directory of " + text + "/gone, " +
                                                                unknown_digest().to_text() +
                                                                ", is not in the store");
}

TEST_F(Resolve, RefusesWhatIsNoReference) {
  for (std::string_view reference :
       {"", "/", "hello", "./x", "/tmp/x", "/nix/store", "/nix/store/", "/nix/store/short-x"})
    EXPECT_NE(refusal(reference, ErrorKind::kInvalidArgument), "(found)") << reference;
  EXPECT_NE(refusal("hello", ErrorKind::kInvalidArgument).find("'hello' is neither"),
            std::string::npos);
}

TEST_F(Resolve, RefusesWhatIsAlmostADigest) {
  std::string text = root_digest_.to_text();
  for (const std::string& reference :
       {text.substr(0, text.size() - 1), text + "x", std::string("blake3-"), std::string("b3:"),
        text.substr(0, text.size() - 1) + "A"})
    EXPECT_NE(refusal(reference, ErrorKind::kInvalidArgument).find("is not a digest"),
              std::string::npos)
        << reference;
}

TEST_F(Resolve, ASlashAtTheEndIsOfFoldersOnly) {
  const std::string base = path_.base_name();
  EXPECT_EQ(refusal(base + "/bin/run/", ErrorKind::kNotFound),
            "there is no folder " + base + "/bin/run/: that is a file");
  EXPECT_EQ(refusal(base + "/z//", ErrorKind::kNotFound),
            "there is no folder " + base + "/z/: that is a symlink");
  EXPECT_NE(refusal(blake3("a").to_text() + "/", ErrorKind::kNotFound), "(found)");
}

TEST_F(Resolve, RefusesSubPathsThatAreNone) {
  for (std::string_view sub_path : {"//doc", "/./doc", "/doc/../bin", "/doc//a"})
    EXPECT_NE(refusal(path_.absolute() + std::string(sub_path), ErrorKind::kInvalidArgument),
              "(found)")
        << sub_path;
  EXPECT_NE(refusal(root_digest_.to_text() + "//doc", ErrorKind::kInvalidArgument), "(found)");
}

TEST_F(Resolve, PassesOnDamageWithWhatWasLookedUp) {
  auto damaged = std::make_shared<DamagedDirectoryService>(services_.directories);
  services_.directories = damaged;
  damaged->fail_get(root_digest_, Error(ErrorKind::kCorrupt, "flipped"));
  std::string message = refusal(path_.absolute() + "/doc", ErrorKind::kCorrupt);
  EXPECT_EQ(message, "looking into " + path_.absolute() + ": flipped");
  EXPECT_NE(refusal(root_digest_.to_text(), ErrorKind::kCorrupt), "(found)");
}

}  // namespace
}  // namespace castore::transfer
