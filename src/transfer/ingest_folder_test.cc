// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/memory/memory_services.h"
#include "base/file.h"
#include "digest/blake3.h"
#include "model/limits.h"
#include "store/testing/fake_import_cache.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/faulty_directory_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/gated_blob_service.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"
#include "store/testing/tree_builder.h"
#include "transfer/ingest.h"
#include "transfer/render_nar.h"
#include "transfer/source_reader.h"

namespace castore::transfer {
namespace {

using store::testing::BlobOperation;
using store::testing::must;
using store::testing::TreeBuilder;

// A lower limit of open descriptors for a scope.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const struct rlimit few = {most, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  ~DescriptorLimit() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

 private:
  struct rlimit before_ = {};
};

class IngestFolder : public testing::Test {
 protected:
  Result<Ingested> try_ingest(const std::string& path, const IngestOptions& options = {}) {
    return ingest_path(ctx_, services_, path, options, tally_);
  }
  Node ingest(const std::string& path) { return must(try_ingest(path)).root; }

  // Of the root directory's entries.
  DirectoryEntry entry(const Node& root, std::string_view name) {
    last_ = must(services_.directories->get(ctx_, std::get<DirectoryNode>(root).digest));
    auto found = last_->lookup(name);
    EXPECT_TRUE(found) << name;
    return found.value_or(DirectoryEntry{});
  }

  void expect_failure(const std::string& path, ErrorKind kind, const std::string& part) {
    auto result = try_ingest(path);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind(), kind) << result.error().message();
    EXPECT_TRUE(result.error().message().contains(part)) << result.error().message();
  }

  // `depth` folders of `name` inside each other below the test's folder.
  void make_deep(size_t depth, const std::string& name) {
    UniqueFd folder = must(open_file(folder_.path(), O_RDONLY | O_DIRECTORY));
    for (size_t i = 0; i < depth; ++i) {
      ASSERT_EQ(::mkdirat(folder.get(), name.c_str(), 0755), 0);
      folder = must(open_at(folder.get(), name, O_RDONLY | O_DIRECTORY));
    }
    UniqueFd bottom = must(open_at(folder.get(), "bottom", O_WRONLY | O_CREAT, 0644));
    must(write_all(bottom.get(), bytes_of("Hello World!"), "bottom"));
  }

  static size_t thread_count() {
    size_t count = 0;
    for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
      ++count;
    return count;
  }

  Context ctx_;
  store::testing::TempFolder folder_;
  store::Services services_ = backends::memory_services();
  Tally tally_;
  std::shared_ptr<const Directory> last_;
};

TEST_F(IngestFolder, ARealFolderGivesTheRootThatThePeersAgreeOn) {
  folder_.write_file(".keep", "");
  folder_.symlink("aa", "/nix/store/somewhereelse");
  folder_.make_folder("keep");
  folder_.write_file("keep/.keep", "");
  for (auto convention : {SizeConvention::kDocumented, SizeConvention::kDoubled}) {
    const Node root = must(try_ingest(folder_.path(), {.size_convention = convention})).root;
    const Directory expected = store::testing::directory_complicated(convention);
    EXPECT_EQ(root, (Node(DirectoryNode{expected.digest(), expected.size(convention)})));
    EXPECT_TRUE(must(services_.directories->get(ctx_, expected.digest())));
  }
  EXPECT_TRUE(
      must(services_.directories->get(ctx_, store::testing::directory_with_keep().digest())));
  EXPECT_TRUE(must(services_.blobs->has(ctx_, blake3(""))));
}

TEST_F(IngestFolder, GivesTheSameRootAsATreeBuiltByHand) {
  folder_.make_folder("bin");
  folder_.write_file("bin/sh", "#!", 0755);
  folder_.write_file("bin/sh.txt", "#!", 0644);
  folder_.make_folder("bin.d");  // sorts before "bin/..." but after "bin"
  folder_.symlink("lib", "lib64");
  folder_.make_folder("empty");
  folder_.write_file("zero", "");
  const Node expected = TreeBuilder(backends::memory_services())
                            .file("bin/sh", "#!", true)
                            .file("bin/sh.txt", "#!")
                            .directory("bin.d")
                            .symlink("lib", "lib64")
                            .directory("empty")
                            .file("zero", "")
                            .build();
  EXPECT_EQ(ingest(folder_.path()), expected);
  EXPECT_EQ(tally_.files, 3u);
  EXPECT_EQ(tally_.directories, 4u);
  EXPECT_EQ(tally_.symlinks, 1u);
  EXPECT_EQ(tally_.bytes, 4u);
  EXPECT_EQ(tally_.bytes_new, 2u);
  EXPECT_EQ(tally_.blobs_new + tally_.blobs_reused, 3u);
}

TEST_F(IngestFolder, ARootMayBeAFile) {
  const std::string path = folder_.write_file("f", "content", 0755);
  EXPECT_EQ(ingest(path), (Node(FileNode{blake3("content"), 7, true})));
  EXPECT_TRUE(must(services_.blobs->has(ctx_, blake3("content"))));
}

TEST_F(IngestFolder, ARootThatIsASymlinkIsNotFollowed) {
  folder_.make_folder("target");
  const std::string path = folder_.symlink("l", "target");
  const Node expected = SymlinkNode{must(SymlinkTarget::parse("target"))};
  EXPECT_EQ(ingest(path), expected);
  EXPECT_EQ(ingest(path + "/"), expected);
  EXPECT_EQ(tally_.symlinks, 2u);
}

TEST_F(IngestFolder, APathMayEndInSlashesAndDots) {
  folder_.write_file("f", "content");
  const Node expected = ingest(folder_.path());
  for (const char* ending : {"/", "//", "/.", "/./"})
    EXPECT_EQ(ingest(folder_.path() + ending), expected) << ending;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  EXPECT_EQ(ingest("."), expected);
  std::filesystem::current_path(before);
}

TEST_F(IngestFolder, APathThatIsNotThereIsAnErrorNamingIt) {
  expect_failure(folder_ / "missing", ErrorKind::kNotFound, folder_ / "missing");
  expect_failure("", ErrorKind::kInvalidArgument, "empty");
}

TEST_F(IngestFolder, KeepsNamesAndTargetsByteForByte) {
  const std::string odd = "\xff\xfe \n*";
  const std::string longest(kNameBytesMax, 'n');
  const std::string target(kSymlinkTargetBytesMax, 't');
  folder_.write_file(odd, "odd");
  folder_.write_file(longest, "long");
  folder_.symlink("link", target);
  const Node root = ingest(folder_.path());
  EXPECT_EQ(entry(root, odd).digest, blake3("odd"));
  EXPECT_EQ(entry(root, longest).digest, blake3("long"));
  EXPECT_EQ(entry(root, "link").target, target);
}

TEST_F(IngestFolder, ASparseFileHasZerosInItsHoles) {
  const std::string path = folder_.write_file("sparse", "");
  std::filesystem::resize_file(path, 3'000'000);
  EXPECT_EQ(ingest(path), (Node(FileNode{blake3(std::string(3'000'000, '\0')), 3'000'000, false})));
}

TEST_F(IngestFolder, TakesAThousandLevelsOfTheLongestNames) {
  const std::string name(kNameBytesMax, 'd');
  make_deep(1000, name);
  auto ingested = must(try_ingest(folder_.path(), {.compute_nar = true}));
  EXPECT_EQ(tally_.directories, 1001u);
  EXPECT_EQ(ingested.root, store::testing::put_deep(backends::memory_services(), 1000, name));
  EXPECT_EQ(ingested.nar, must(summarize_nar(ctx_, services_, ingested.root)));
}

// Class of fault: descriptors that grow with the depth or width of a tree.
TEST_F(IngestFolder, NeedsFewDescriptorsHoweverDeepTheTree) {
  make_deep(1000, "d");
  const DescriptorLimit few(120);
  EXPECT_EQ(ingest(folder_.path()),
            store::testing::put_deep(backends::memory_services(), 1000, "d"));
}

TEST_F(IngestFolder, NeedsFewDescriptorsForAFolderForEachFile) {
  TreeBuilder expected(backends::memory_services());
  for (int i = 0; i < 1500; ++i) {
    const std::string name = std::to_string(i);
    folder_.make_folder(name);
    folder_.write_file(name + "/f", name);
    expected.file(name + "/f", name);
  }
  const DescriptorLimit few(120);
  EXPECT_EQ(ingest(folder_.path()), expected.build());
}

TEST_F(IngestFolder, SeveralAtOnceNeedFewDescriptorsWhenTheyShareTheirBudgets) {
  make_deep(500, "d");
  const DescriptorLimit few(200);
  const IngestOptions options{.budgets = std::make_shared<IngestBudgets>()};
  std::vector<std::future<Result<Ingested>>> results;
  std::vector<Tally> tallies(8);
  for (Tally& tally : tallies)
    results.push_back(std::async(std::launch::async, [&] {
      return ingest_path(ctx_, services_, folder_.path(), options, tally);
    }));
  for (auto& result : results)
    EXPECT_EQ(must(result.get()).root,
              store::testing::put_deep(backends::memory_services(), 500, "d"));
}

TEST_F(IngestFolder, ReturnsToFoldersItHadClosed) {
  TreeBuilder expected(backends::memory_services());
  for (const std::string top : {"a/a", "a/z", "z/a", "z/z"}) {
    std::string path = top;
    for (int level = 0; level < 20; ++level) {
      std::filesystem::create_directories(folder_ / path);
      for (const std::string name : {"/b", "/y"}) {
        folder_.write_file(path + name, path);
        expected.file(path + name, path);
      }
      path += "/m";
    }
  }
  EXPECT_EQ(ingest(folder_.path()), expected.build());
}

TEST_F(IngestFolder, AMessageAboutADeepPathIsShort) {
  make_deep(1000, "d");
  UniqueFd folder = must(open_file(folder_.path(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 1000; ++i) folder = must(open_at(folder.get(), "d", O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::mkfifoat(folder.get(), "pipe", 0644), 0);
  auto result = try_ingest(folder_.path());
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().message().contains("at " + folder_.path() + "/d/d/"));
  EXPECT_TRUE(result.error().message().contains("/.../"));
  EXPECT_TRUE(result.error().message().contains("/d/pipe: it is a named pipe"));
  EXPECT_LT(result.error().message().size(), 800u) << result.error().message();
}

TEST_F(IngestFolder, RefusesATreeThatIsTooDeep) {
  make_deep(kTreeDepthMax + 1, "d");
  expect_failure(folder_ / "d", ErrorKind::kExhausted, "deeper than 4096 levels");
}

TEST_F(IngestFolder, TakesTwentyThousandEntriesOfOneFolder) {
  constexpr size_t kCount = 20'000;
  for (size_t i = 0; i < kCount; ++i) {
    const std::string name = std::to_string(i);
    ASSERT_EQ(::symlink(name.c_str(), (folder_ / name).c_str()), 0);
  }
  const Node root = ingest(folder_.path());
  EXPECT_EQ(std::get<DirectoryNode>(root).size, kCount);
  EXPECT_EQ(entry(root, "19999").target, "19999");
  EXPECT_EQ(tally_.symlinks, kCount);
}

TEST_F(IngestFolder, TheNarComputedOnTheWayIsTheNarOfTheStoredTree) {
  folder_.make_folder("a");
  for (int i = 0; i < 3000; ++i)
    folder_.write_file("a/" + std::to_string(i), store::testing::noise(size_t(i) % 700, 7));
  folder_.make_folder("a-b");
  folder_.write_file("a-b/large", store::testing::noise(kFileInMemoryBytesMax + 5'000'000, 3),
                     0755);
  folder_.write_file("a.b", std::string(kFileInMemoryBytesMax, 'm'), 0755);
  folder_.symlink("z", "a.b");
  auto ingested = must(try_ingest(folder_.path(), {.compute_nar = true}));
  ASSERT_TRUE(ingested.nar);
  EXPECT_EQ(*ingested.nar, must(summarize_nar(ctx_, services_, ingested.root)));
  EXPECT_FALSE(must(try_ingest(folder_.path())).nar);
}

TEST_F(IngestFolder, TheNarOfALoneFileOrSymlinkIsRightToo) {
  for (const std::string& path :
       {folder_.write_file("f", "content", 0755), folder_.symlink("l", "f"),
        folder_.write_file("large", store::testing::noise(kFileInMemoryBytesMax + 1, 3)),
        folder_.make_folder("empty")}) {
    auto ingested = must(try_ingest(path, {.compute_nar = true}));
    EXPECT_EQ(ingested.nar, must(summarize_nar(ctx_, services_, ingested.root))) << path;
  }
}

TEST_F(IngestFolder, SpecialFilesAreErrorsNamingTheirPathAndSort) {
  folder_.make_folder("a");
  const std::string pipe = folder_ / "a/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0644), 0);
  expect_failure(folder_.path(), ErrorKind::kInvalidArgument,
                 "unsupported file type at " + pipe + ": it is a named pipe (fifo)");
  expect_failure(pipe, ErrorKind::kInvalidArgument, "unsupported file type at " + pipe);
  ::unlink(pipe.c_str());

  const std::string socket_path = folder_ / "a/s";
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(socket_path.size(), sizeof address.sun_path);
  socket_path.copy(address.sun_path, socket_path.size());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  expect_failure(folder_.path(), ErrorKind::kInvalidArgument,
                 "unsupported file type at " + socket_path + ": it is a socket");
  expect_failure("/dev/null", ErrorKind::kInvalidArgument, "a character device");
}

// Root may read everything, so the import runs as nobody: credentials belong to a thread, and
// threads that it starts inherit them.
TEST_F(IngestFolder, WhatMayNotBeReadIsAnErrorNamingIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs to be root to become somebody else";
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  folder_.make_folder("files");
  folder_.write_file("files/secret", "secret", 0600);
  folder_.make_folder("folders");
  folder_.make_folder("folders/locked", 0700);
  std::jthread nobody([&] {
    constexpr uid_t kNobody = 65534;
    ASSERT_EQ(::syscall(SYS_setresuid, -1, kNobody, -1), 0);
    expect_failure(folder_ / "files", ErrorKind::kDenied, folder_ / "files/secret");
    expect_failure(folder_ / "folders", ErrorKind::kDenied, folder_ / "folders/locked");
  });
}

TEST_F(IngestFolder, TheFirstErrorInTheOrderOfTheTreeIsTheOneReported) {
  auto blobs = std::make_shared<store::testing::FaultyBlobService>(services_.blobs);
  services_.blobs = blobs;
  blobs->faults().fail_all(BlobOperation::kPut, Error(ErrorKind::kExhausted, "the disk is full"));
  for (char name = 'a'; name <= 'y'; ++name) folder_.write_file(std::string(1, name), "x");
  ASSERT_EQ(::mkfifo((folder_ / "z").c_str(), 0644), 0);
  expect_failure(folder_.path(), ErrorKind::kExhausted,
                 "storing " + folder_ / "a" + ": the disk is full");
}

TEST_F(IngestFolder, AFailureToStoreADirectoryNamesTheFolder) {
  auto directories =
      std::make_shared<store::testing::FaultyDirectoryService>(services_.directories);
  services_.directories = directories;
  directories->faults().fail_call(store::testing::DirectoryOperation::kPut, 1,
                                  Error(ErrorKind::kExhausted, "the disk is full"));
  folder_.make_folder("sub");
  expect_failure(folder_.path(), ErrorKind::kExhausted, folder_ / "sub" + ": the disk is full");
}

TEST_F(IngestFolder, AnErrorAfterALargeFileIsReported) {
  folder_.write_file("large", std::string(size_t{64} << 20, 'x'));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0644), 0);
  expect_failure(folder_.path(), ErrorKind::kInvalidArgument, folder_ / "pipe");
}

TEST_F(IngestFolder, StopsWhenAskedAndLeavesNoThreadBehind) {
  const size_t threads_before = thread_count();
  for (int i = 0; i < 100; ++i) folder_.write_file(std::to_string(i), std::to_string(i));
  auto gated = std::make_shared<store::testing::GatedBlobService>(services_.blobs);
  services_.blobs = gated;
  gated->put_gate().close();
  std::stop_source stop;
  ctx_.stop = stop.get_token();
  auto result = std::async(std::launch::async, [&] { return try_ingest(folder_.path()); });
  gated->put_gate().wait_until_held(1);
  stop.request_stop();
  gated->put_gate().open();
  auto stopped = result.get();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().kind(), ErrorKind::kCancelled);
  EXPECT_LT(tally_.files, 100u);
  EXPECT_EQ(thread_count(), threads_before);
}

TEST_F(IngestFolder, DoesNotBeginWhenAlreadyStopped) {
  folder_.write_file("f", "content");
  std::stop_source stop;
  stop.request_stop();
  ctx_.stop = stop.get_token();
  expect_failure(folder_.path(), ErrorKind::kCancelled, "interrupted");
  expect_failure(folder_ / "f", ErrorKind::kCancelled, "interrupted");
}

}  // namespace
}  // namespace castore::transfer
