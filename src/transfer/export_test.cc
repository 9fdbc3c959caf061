// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/export.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backends/memory/memory_services.h"
#include "base/file.h"
#include "digest/blake3.h"
#include "store/testing/damaged_services.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/gated_blob_service.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"
#include "store/testing/tree_builder.h"

namespace castore::transfer {
namespace {

using namespace store::testing;

// Sets the umask for a scope.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

class ExportTree : public ::testing::Test {
 protected:
  Result<void> run(const Node& root, const std::string& destination) {
    return export_tree(ctx_, services_, root, destination, tally_);
  }

  // Exports to "out", and gives its path.
  std::string exported(const Node& root) {
    must(run(root, folder_ / "out"));
    return folder_ / "out";
  }

  static bool exists(const std::string& path) {
    struct stat status;
    return ::lstat(path.c_str(), &status) == 0;
  }
  static mode_t mode_of(const std::string& path) {
    struct stat status;
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }
  static std::string content_of(const std::string& path) {
    return must(read_whole_file(path, 100'000'000));
  }
  static std::string target_of(const std::string& path) {
    std::string target(5000, '\0');
    ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
    EXPECT_GE(n, 0) << path;
    target.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return target;
  }
  static size_t entry_count(const std::string& path) {
    size_t count = 0;
    DIR* stream = ::opendir(path.c_str());
    EXPECT_NE(stream, nullptr) << path;
    if (!stream) return 0;
    while (const dirent* entry = ::readdir(stream))
      if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..")
        ++count;
    ::closedir(stream);
    return count;
  }
  static std::string message_of(const Result<void>& result) {
    return result ? "(no error)" : result.error().message();
  }

  Context ctx_;
  store::Services services_ = backends::memory_services();
  Tally tally_;
  TempFolder folder_;
};

TEST_F(ExportTree, WritesFilesFoldersAndSymlinks) {
  std::string out = exported(TreeBuilder(services_)
                                 .file("README", kHelloWorld)
                                 .file("bin/run", "#!/bin/sh\n", true)
                                 .symlink("bin/link", "../README")
                                 .directory("empty")
                                 .file("none", "")
                                 .build());
  EXPECT_EQ(entry_count(out), 4u);
  EXPECT_EQ(content_of(out + "/README"), kHelloWorld);
  EXPECT_EQ(content_of(out + "/bin/run"), "#!/bin/sh\n");
  EXPECT_EQ(target_of(out + "/bin/link"), "../README");
  EXPECT_EQ(entry_count(out + "/empty"), 0u);
  EXPECT_EQ(content_of(out + "/none"), "");
  EXPECT_EQ(tally_.files, 3u);
  EXPECT_EQ(tally_.directories, 3u);
  EXPECT_EQ(tally_.symlinks, 1u);
  EXPECT_EQ(tally_.bytes, kHelloWorld.size() + 10);
}

TEST_F(ExportTree, SetsExactModesWhateverTheUmask) {
  Node root = TreeBuilder(services_).file("sub/file", "f").file("sub/run", "r", true).build();
  for (mode_t mask : {0000, 0022, 0077, 0777}) {
    std::string out = folder_ / fmt::format("umask-{:o}", mask);
    {
      Umask umask(mask);
      must(run(root, out));
      must(run(FileNode{blake3("r"), 1, true}, out + "-file"));
    }
    EXPECT_EQ(mode_of(out), 0755u) << mask;
    EXPECT_EQ(mode_of(out + "/sub"), 0755u) << mask;
    EXPECT_EQ(mode_of(out + "/sub/file"), 0644u) << mask;
    EXPECT_EQ(mode_of(out + "/sub/run"), 0755u) << mask;
    EXPECT_EQ(mode_of(out + "-file"), 0755u) << mask;
  }
}

TEST_F(ExportTree, TheModeDoesNotComeFromASetGroupIdParent) {
  folder_.make_folder("shared", 02775);
  must(run(TreeBuilder(services_).file("sub/file", "f").build(), folder_ / "shared/out"));
  EXPECT_EQ(mode_of(folder_ / "shared/out"), 0755u);
  EXPECT_EQ(mode_of(folder_ / "shared/out/sub"), 0755u);
}

TEST_F(ExportTree, KeepsOddNamesAndTargets) {
  const std::string names[] = {"-rf",       "...", "a b",   "bad\xff\xfe",
                               "new\nline", "\\",  "\x01*", std::string(255, 'n')};
  TreeBuilder tree(services_);
  for (const std::string& name : names) tree.file(name, name);
  tree.symlink("t", "\xc5\xc4\xd6//../.").symlink("long", std::string(4095, 't'));
  std::string out = exported(tree.build());
  for (const std::string& name : names) EXPECT_EQ(content_of(out + "/" + name), name);
  EXPECT_EQ(target_of(out + "/t"), "\xc5\xc4\xd6//../.");
  EXPECT_EQ(target_of(out + "/long"), std::string(4095, 't'));
  EXPECT_EQ(entry_count(out), std::size(names) + 2);
}

TEST_F(ExportTree, AFileOrASymlinkMayBeTheRoot) {
  put_blob(services_, kHelloWorld);
  must(run(FileNode{hello_world_digest(), 12, false}, folder_ / "file"));
  EXPECT_EQ(content_of(folder_ / "file"), kHelloWorld);
  EXPECT_EQ(mode_of(folder_ / "file"), 0644u);
  must(run(SymlinkNode{must(SymlinkTarget::parse("/nowhere"))}, folder_ / "link"));
  EXPECT_EQ(target_of(folder_ / "link"), "/nowhere");
}

TEST_F(ExportTree, TheDestinationMayBeWrittenInManyWays) {
  Node root = TreeBuilder(services_).file("f", "f").build();
  must(run(root, folder_ / "slashes///"));
  EXPECT_EQ(content_of(folder_ / "slashes/f"), "f");

  UniqueFd before = must(open_file(".", O_PATH));
  ASSERT_EQ(::chdir(folder_.path().c_str()), 0);
  auto relative = run(root, "relative");
  ASSERT_EQ(::fchdir(before.get()), 0);
  EXPECT_TRUE(relative.has_value());
  EXPECT_EQ(content_of(folder_ / "relative/f"), "f");
}

TEST_F(ExportTree, NeverOverwrites) {
  Node tree = TreeBuilder(services_).file("f", "new").build();
  Node file = FileNode{blake3("new"), 3, false};
  Node link = SymlinkNode{must(SymlinkTarget::parse("new"))};
  folder_.write_file("file", "old");
  folder_.make_folder("folder");
  folder_.symlink("dangling", "/nowhere");
  for (const Node& node : {tree, file, link})
    for (std::string_view name : {"file", "folder", "dangling", "folder/", "folder/."}) {
      auto result = run(node, folder_ / name);
      ASSERT_FALSE(result.has_value()) << name;
      EXPECT_EQ(result.error().kind(), ErrorKind::kInvalidArgument) << name;
      EXPECT_NE(result.error().message().find("exists already"), std::string::npos)
          << result.error().message();
    }
  EXPECT_EQ(content_of(folder_ / "file"), "old");
  EXPECT_EQ(entry_count(folder_ / "folder"), 0u);
  EXPECT_EQ(target_of(folder_ / "dangling"), "/nowhere");
}

TEST_F(ExportTree, TheParentOfTheDestinationMustExist) {
  auto result = run(TreeBuilder(services_).build(), folder_ / "no/out");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kNotFound);
  EXPECT_NE(message_of(result).find(folder_ / "no"), std::string::npos) << message_of(result);
  EXPECT_FALSE(run(TreeBuilder(services_).build(), "").has_value());
}

TEST_F(ExportTree, WritesWideFoldersAndLargeFiles) {
  std::string large = noise(5'000'000, 1);
  TreeBuilder tree(services_);
  for (int i = 0; i < 1000; ++i) tree.file(fmt::format("wide/{}", i), std::to_string(i));
  tree.file("large", large).file("medium", large.substr(0, 300'000));
  std::string out = exported(tree.build());
  EXPECT_EQ(entry_count(out + "/wide"), 1000u);
  for (int i = 0; i < 1000; i += 97)
    EXPECT_EQ(content_of(fmt::format("{}/wide/{}", out, i)), std::to_string(i));
  EXPECT_TRUE(content_of(out + "/large") == large);
  EXPECT_TRUE(content_of(out + "/medium") == large.substr(0, 300'000));
  EXPECT_EQ(tally_.files, 1002u);
}

// Goes down `depth` times by `name`, as no path could, and reads "bottom" there.
std::string content_below(const std::string& top, size_t depth, const std::string& name) {
  UniqueFd at = must(open_file(top, O_PATH | O_DIRECTORY));
  for (size_t level = 0; level < depth; ++level)
    at = must(open_at(at.get(), name, O_PATH | O_DIRECTORY));
  UniqueFd file = must(open_at(at.get(), "bottom", O_RDONLY));
  std::string content(100, '\0');
  size_t n =
      must(read_at(file.get(), 0, {reinterpret_cast<std::byte*>(content.data()), 100}, "bottom"));
  return content.substr(0, n);
}

TEST_F(ExportTree, WritesDeepTreesWithPathsLongerThanTheKernelTakes) {
  const std::string name(60, 'd');
  std::string out = exported(put_deep(services_, 1500, name));
  EXPECT_EQ(content_below(out, 1500, name), kHelloWorld);
}

TEST_F(ExportTree, NeedsFewDescriptorsHoweverDeepTheTree) {
  constexpr size_t kDepth = 500;
  struct rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  struct rlimit few = {120, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  auto result = run(put_deep(services_, kDepth, "d"), folder_ / "out");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(result.has_value()) << message_of(result);
  EXPECT_EQ(content_below(folder_ / "out", kDepth, "d"), kHelloWorld);
}

TEST_F(ExportTree, ReturnsToFoldersItHadClosed) {
  // Two deep arms at each of some upper levels, and files beside them.
  Node node = put_deep(services_, 40, "arm");
  for (int level = 0; level < 3; ++level)
    node = TreeBuilder(services_)
               .node("a", node)
               .file("file", std::to_string(level))
               .node("z", node)
               .build();
  must(run(node, folder_ / "out"));
  EXPECT_EQ(content_below(folder_ / "out/z/z/z", 40, "arm"), kHelloWorld);
  EXPECT_EQ(content_of(folder_ / "out/z/file"), "1");
  EXPECT_EQ(content_of(folder_ / "out/z/a/file"), "0");
  EXPECT_EQ(tally_.files, 7u + 8u);
  EXPECT_EQ(tally_.directories, 7u + 8u * 41);
}

TEST_F(ExportTree, ACorruptBlobIsAnErrorAndLeavesNothing) {
  auto damaged = std::make_shared<DamagedBlobService>(services_.blobs);
  services_.blobs = damaged;
  std::string large = noise(2'000'000, 1);
  Node root = TreeBuilder(services_).file("sub/small", "small").file("sub/large", large).build();
  for (const std::string& content : {std::string("small"), large}) {
    std::string flipped = content;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    damaged->replace(blake3(content), flipped);
    auto result = run(root, folder_ / "out");
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().kind(), ErrorKind::kCorrupt);
    const std::string name = content == large ? "/sub/large" : "/sub/small";
    EXPECT_NE(message_of(result).find("out" + name), std::string::npos) << message_of(result);
    EXPECT_NE(message_of(result).find(blake3(content).to_text()), std::string::npos);
    EXPECT_EQ(entry_count(folder_.path()), 0u);
    damaged->replace(blake3(content), content);
  }
}

TEST_F(ExportTree, ABlobOfAnotherSizeIsAnErrorAndLeavesNothing) {
  put_blob(services_, kHelloWorld);
  for (uint64_t size : {uint64_t{11}, uint64_t{13}, uint64_t{1} << 30, UINT64_MAX}) {
    auto result = run(FileNode{hello_world_digest(), size, false}, folder_ / "out");
    ASSERT_FALSE(result.has_value()) << size;
    EXPECT_EQ(result.error().kind(), ErrorKind::kCorrupt) << message_of(result);
    EXPECT_NE(message_of(result).find("12 bytes"), std::string::npos) << message_of(result);
    EXPECT_EQ(entry_count(folder_.path()), 0u);
  }
}

TEST_F(ExportTree, MissingObjectsAreNamedWithTheirPlace) {
  auto blob = run(TreeBuilder(services_).node("a/f", FileNode{unknown_digest(), 5, false}).build(),
                  folder_ / "one");
  ASSERT_FALSE(blob.has_value());
  EXPECT_EQ(blob.error().kind(), ErrorKind::kCorrupt);
  EXPECT_NE(message_of(blob).find("one/a/f"), std::string::npos) << message_of(blob);
  EXPECT_NE(message_of(blob).find(unknown_digest().to_text()), std::string::npos);

  auto directory =
      run(TreeBuilder(services_).node("a/d", DirectoryNode{unknown_digest(), 5}).build(),
          folder_ / "two");
  ASSERT_FALSE(directory.has_value());
  EXPECT_EQ(directory.error().kind(), ErrorKind::kCorrupt);
  EXPECT_NE(message_of(directory).find("two/a/d"), std::string::npos) << message_of(directory);
  EXPECT_EQ(entry_count(folder_.path()), 0u);
}

TEST_F(ExportTree, NamesInMessagesArePrintable) {
  auto result =
      run(TreeBuilder(services_).node("a\n\x1b[2J", FileNode{unknown_digest(), 5, false}).build(),
          folder_ / "out");
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(message_of(result).find("a\\x0a\\x1b[2J"), std::string::npos) << message_of(result);
}

TEST_F(ExportTree, AFailureOfTheStoreStopsIt) {
  TreeBuilder tree(services_);
  for (int i = 0; i < 2000; ++i) tree.file(std::to_string(i), std::to_string(i));
  Node root = tree.build();
  auto faulty = std::make_shared<FaultyBlobService>(services_.blobs);
  services_.blobs = faulty;
  faulty->faults().fail_call(BlobOperation::kOpen, 10, Error(ErrorKind::kUnavailable, "broken"));
  auto result = run(root, folder_ / "out");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kUnavailable);
  EXPECT_LT(tally_.files, 2000u);
}

TEST_F(ExportTree, StopsWhenAsked) {
  Node root = TreeBuilder(services_).file("a/f", "f").build();
  auto gated = std::make_shared<GatedBlobService>(services_.blobs);
  services_.blobs = gated;
  gated->open_gate().close();
  std::stop_source stop;
  ctx_.stop = stop.get_token();
  std::jthread stopper([&] {
    gated->open_gate().wait_until_held(1);
    stop.request_stop();
    gated->open_gate().open();
  });
  auto result = run(root, folder_ / "out");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kCancelled);
  EXPECT_EQ(entry_count(folder_.path()), 0u);
}

// Class of fault: what is half done stands under the name of what is done, and is in the way of the
// next attempt.
TEST_F(ExportTree, TheDestinationIsThereOnlyWhenItIsComplete) {
  Node root = TreeBuilder(services_).file("a/f", "f").build();
  auto gated = std::make_shared<GatedBlobService>(services_.blobs);
  services_.blobs = gated;
  for (const Node& node : {root, Node(FileNode{blake3("f"), 1, false})}) {
    gated->open_gate().close();
    std::jthread looker([&] {
      gated->open_gate().wait_until_held(1);
      EXPECT_FALSE(exists(folder_ / "out"));
      auto partial = find_partial_exports(folder_ / "out/");
      EXPECT_EQ(partial.size(), 1u);
      EXPECT_TRUE(partial.empty() || exists(partial[0]));
      gated->open_gate().open();
    });
    must(run(node, folder_ / "out"));
    looker.join();
    EXPECT_TRUE(exists(folder_ / "out"));
    EXPECT_EQ(entry_count(folder_.path()), 1u);
    EXPECT_TRUE(find_partial_exports(folder_ / "out").empty());
    remove_tree(folder_ / "out");
  }
}

TEST_F(ExportTree, WhatAppearsMeanwhileIsNotOverwritten) {
  Node root = TreeBuilder(services_).file("f", "f").build();
  auto gated = std::make_shared<GatedBlobService>(services_.blobs);
  services_.blobs = gated;
  gated->open_gate().close();
  std::jthread other([&] {
    gated->open_gate().wait_until_held(1);
    folder_.make_folder("out");
    gated->open_gate().open();
  });
  auto result = run(root, folder_ / "out");
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(message_of(result).find("exists already"), std::string::npos) << message_of(result);
  EXPECT_EQ(entry_count(folder_ / "out"), 0u);
  EXPECT_EQ(entry_count(folder_.path()), 1u);
}

TEST_F(ExportTree, TheDestinationMayHaveTheLongestName) {
  Node root = TreeBuilder(services_).file("f", "f").build();
  must(run(root, folder_ / std::string(NAME_MAX, 'n')));
  EXPECT_TRUE(exists(folder_ / std::string(NAME_MAX, 'n') + "/f"));
  auto result = run(root, folder_ / std::string(NAME_MAX + 1, 'n'));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(entry_count(folder_.path()), 1u);
}

TEST_F(ExportTree, FindsWhatKilledExportsToADestinationLeft) {
  folder_.make_folder("out.partial-abc012");
  folder_.write_file("out.partial-zzzzzz", "");
  for (const std::string name :
       {"out", "out.partial-", "out.partial-abc0123", "other.partial-abc012"})
    folder_.make_folder(name);
  auto found = find_partial_exports(folder_ / "out");
  std::ranges::sort(found);
  EXPECT_EQ(found, (std::vector<std::string>{folder_ / "out.partial-abc012",
                                             folder_ / "out.partial-zzzzzz"}));
  EXPECT_TRUE(find_partial_exports(folder_ / "no/out").empty());
}

TEST_F(ExportTree, AMessageAboutADeepPathIsShort) {
  Node node = FileNode{unknown_digest(), 5, false};
  for (int level = 0; level < 1000; ++level) node = TreeBuilder(services_).node("d", node).build();
  auto result = run(node, folder_ / "out");
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(message_of(result).find("/.../"), std::string::npos) << message_of(result);
  EXPECT_LT(message_of(result).size(), 1000u);
}

}  // namespace
}  // namespace castore::transfer
