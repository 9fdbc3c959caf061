// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/local_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "backends/local/pack_files.h"
#include "backends/local/tuning.h"
#include "digest/blake3.h"

namespace castore::backends {
namespace {

using testing::HasSubstr;

class LocalStoreTest : public testing::Test {
 protected:
  LocalStoreTest() {
    std::string pattern = testing::TempDir() + "/local_store.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    store_ = folder_ + "/store";
  }
  ~LocalStoreTest() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<LocalStore> open(const local::Tuning& tuning = {}) {
    auto store = LocalStore::open(store_, OpenMode::kCreate, tuning);
    EXPECT_TRUE(store) << store.error().message();
    return *store;
  }

  static Digest put(store::BlobService& blobs, std::string_view text) {
    Digest digest = blake3(text);
    auto stored = blobs.put(Context(), digest, Bytes::copy_of(text));
    EXPECT_TRUE(stored) << stored.error().message();
    return digest;
  }

  static std::string get(store::BlobService& blobs, const Digest& digest) {
    auto bytes = store::read_blob(Context(), blobs, digest, 1 << 30);
    if (!bytes) return "error: " + bytes.error().message();
    return *bytes ? std::string((*bytes)->text()) : "absent";
  }

  void write_format(std::string_view content) {
    std::filesystem::create_directories(store_);
    std::ofstream(store_ + "/format") << content;
  }

  Error open_error(OpenMode mode = OpenMode::kCreate) {
    auto store = LocalStore::open(store_, mode);
    EXPECT_FALSE(store);
    return store ? Error(ErrorKind::kInternal, "opened") : store.error();
  }

  std::string folder_;
  std::string store_;
};

std::string text_of_size(size_t size, unsigned seed) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    seed = seed * 1664525 + 1013904223;
    text[i] = static_cast<char>(seed >> 24);
  }
  return text;
}

TEST_F(LocalStoreTest, RefusesANewerFormat) {
  write_format("castore local store, format 2\n");
  Error error = open_error();
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.message(), HasSubstr("has format 2, this castore knows format 1"));
}

TEST_F(LocalStoreTest, RefusesAFormatFileOfSomethingElse) {
  for (const char* content :
       {"", "1\n", "castore local store, format one\n", "castore local store, format 1",
        "castore local store, format 1x\n"}) {
    write_format(content);
    EXPECT_EQ(open_error().kind(), ErrorKind::kUnsupported) << content;
  }
}

TEST_F(LocalStoreTest, DoesNotTouchAFolderWithOtherContent) {
  std::filesystem::create_directories(store_);
  std::ofstream(store_ + "/letter.txt") << "dear";
  Error error = open_error();
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.message(), HasSubstr("not empty"));
  EXPECT_FALSE(std::filesystem::exists(store_ + "/format"));
}

TEST_F(LocalStoreTest, IsNotMadeWhereItMustExist) {
  Error error = open_error(OpenMode::kExisting);
  EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  EXPECT_THAT(error.message(), HasSubstr("castore import"));
  EXPECT_FALSE(std::filesystem::exists(store_));
}

TEST_F(LocalStoreTest, AStoreWhoseMakingWasCutOffIsMadeAgain) {
  std::filesystem::create_directories(store_);
  std::ofstream(store_ + "/format.tmp.77") << "castore lo";
  EXPECT_TRUE(LocalStore::open(store_, OpenMode::kCreate));
}

// What a loss of power leaves of a new file: its name, and any of its bytes or none.
TEST_F(LocalStoreTest, AStoreWhoseDatabaseWasNotFinishedIsMadeAgain) {
  for (const char* left : {"", "LMDB wrote no more than this", "no file"}) {
    std::filesystem::remove_all(store_);
    write_format("castore local store, format 1\n");
    if (left != std::string_view("no file")) {
      std::ofstream(store_ + "/database.new") << left;
      std::ofstream(store_ + "/database.new-lock") << left;
    }
    Error error = open_error(OpenMode::kExisting);
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound) << error.message();
    auto store = LocalStore::open(store_, OpenMode::kCreate);
    ASSERT_TRUE(store) << store.error().message();
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(store_))
      names.insert(entry.path().filename());
    EXPECT_THAT(names, testing::IsSupersetOf({"format", "database"}));
    EXPECT_THAT(names, testing::Not(testing::Contains(HasSubstr(".new"))));
  }
}

TEST_F(LocalStoreTest, OpeningAFolderTwiceGivesOneStore) {
  auto one = open();
  auto two = open();
  Digest digest = put(*one->blobs(), "shared");
  EXPECT_EQ(get(*two->blobs(), digest), "shared");
}

TEST_F(LocalStoreTest, AServiceKeepsItsStoreOpen) {
  auto blobs = open()->blobs();
  Digest digest = put(*blobs, "kept");
  auto again = open()->blobs();
  EXPECT_EQ(get(*again, digest), "kept");
}

TEST_F(LocalStoreTest, FindsEverythingAgainAfterClosing) {
  std::vector<std::pair<Digest, std::string>> stored;
  Digest directory_digest;
  {
    auto store = open();
    for (size_t size : {1u, 100u, 4096u, 262144u, 262145u, 3000000u}) {
      std::string text = text_of_size(size, static_cast<unsigned>(size));
      stored.emplace_back(put(*store->blobs(), text), text);
    }
    DirectoryBuilder builder;
    ASSERT_TRUE(builder.add("a", FileNode{stored[0].first, 1, false}));
    directory_digest = *store->directories()->put(Context(), *builder.build());
  }
  auto store = open();
  for (const auto& [digest, text] : stored) EXPECT_EQ(get(*store->blobs(), digest), text);
  auto directory = store->directories()->get(Context(), directory_digest);
  ASSERT_TRUE(directory && *directory);
  EXPECT_EQ((*directory)->entry(0).name, "a");
  auto facts = store->facts();
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->blobs, 6u);
  EXPECT_EQ(facts->directories, 1u);
  EXPECT_EQ(facts->packs, 2u) << "one of blobs, one of directories";
}

TEST_F(LocalStoreTest, ALargeBlobIsAReadOnlyFileOfItsOwn) {
  std::string text = text_of_size(kPackedBlobBytesMax + 1, 7);
  Digest digest;
  {
    auto store = open();
    digest = put(*store->blobs(), text);
    EXPECT_EQ(get(*store->blobs(), digest), text) << "before it has a name";
  }
  std::string hex = digest.to_hex();
  std::filesystem::path path = store_ + "/blobs/" + hex.substr(0, 2) + "/" + hex;
  ASSERT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(std::filesystem::file_size(path), text.size());
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0444));
}

TEST_F(LocalStoreTest, ADamagedPackedBlobIsNamedAndNotServed) {
  Digest digest;
  {
    auto store = open();
    digest = put(*store->blobs(), "precious");
  }
  std::fstream(local::pack_path(store_, 1), std::ios::in | std::ios::out).put('P');
  auto opened = open()->blobs()->open(Context(), digest);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kCorrupt);
  EXPECT_THAT(opened.error().message(), HasSubstr(digest.to_text()));
}

TEST_F(LocalStoreTest, APackCutShortIsCorruption) {
  Digest digest;
  {
    auto store = open();
    digest = put(*store->blobs(), "precious");
  }
  std::filesystem::resize_file(local::pack_path(store_, 1), 3);
  auto opened = open()->blobs()->open(Context(), digest);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kCorrupt);
}

TEST_F(LocalStoreTest, ALargeBlobWhoseFileIsGoneIsCorruption) {
  Digest digest;
  {
    auto store = open();
    digest = put(*store->blobs(), text_of_size(300000, 1));
  }
  std::filesystem::remove_all(store_ + "/blobs");
  auto opened = open()->blobs()->open(Context(), digest);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kCorrupt);
  EXPECT_THAT(opened.error().message(), HasSubstr("is gone"));
}

// A process that ends without a word, as by kill -9, after the first of two rounds was synced.
TEST_F(LocalStoreTest, AKilledProcessLosesNothingThatWasSyncedAndLeavesNothingElse) {
  std::string synced = text_of_size(5 << 20, 1);
  std::string unsynced = text_of_size(9 << 20, 2);
  auto pieces = [](const std::string& text) {
    std::vector<std::string> parts;
    for (size_t i = 0; i < text.size(); i += 200000) parts.push_back(text.substr(i, 200000));
    return parts;
  };
  pid_t child = ::fork();
  if (child == 0) {
    auto blobs = (*LocalStore::open(store_, OpenMode::kCreate))->blobs();
    for (const std::string& part : pieces(synced)) put(*blobs, part);
    bool ok = blobs->sync(Context()).has_value();
    // More than the store keeps in memory, so that some of it is in the pack already.
    for (const std::string& part : pieces(unsynced)) put(*blobs, part);
    ::_exit(ok ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);

  auto store = open();
  for (const std::string& part : pieces(synced))
    EXPECT_EQ(get(*store->blobs(), blake3(part)), part);
  for (const std::string& part : pieces(unsynced))
    EXPECT_EQ(get(*store->blobs(), blake3(part)), "absent");
  EXPECT_GT(std::filesystem::file_size(local::pack_path(store_, 1)), synced.size())
      << "the dead process left nothing in its pack: the test is too small";

  Digest digest = put(*store->blobs(), "after");
  ASSERT_TRUE(store->blobs()->sync(Context()));
  EXPECT_EQ(get(*store->blobs(), digest), "after");
  EXPECT_EQ(get(*store->blobs(), blake3(synced.substr(0, 200000))), synced.substr(0, 200000));
}

TEST_F(LocalStoreTest, TwoProcessesWriteAtOnceIntoPacksOfTheirOwn) {
  int ready[2];
  int go[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(go), 0);
  pid_t child = ::fork();
  if (child == 0) {
    auto blobs = (*LocalStore::open(store_, OpenMode::kCreate))->blobs();
    put(*blobs, "from the child");
    bool ok = blobs->sync(Context()).has_value();
    char byte = 0;
    // Holds its pack until the parent has written as well.
    if (::write(ready[1], "r", 1) != 1 || ::read(go[0], &byte, 1) != 1) ok = false;
    ::_exit(ok ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  auto store = open();
  put(*store->blobs(), "from the parent");
  ASSERT_TRUE(store->blobs()->sync(Context()));
  ASSERT_EQ(::write(go[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(get(*store->blobs(), blake3("from the child")), "from the child");
  EXPECT_EQ(get(*store->blobs(), blake3("from the parent")), "from the parent");
  for (uint64_t pack : {1, 3}) EXPECT_TRUE(std::filesystem::exists(local::pack_path(store_, pack)));
  for (int fd : {ready[0], ready[1], go[0], go[1]}) ::close(fd);
}

// A limit on the size of files stands in for a full disk: it needs no privilege and ends when told.
TEST_F(LocalStoreTest, WithoutRoomNothingIsLostAndTheNextSyncSucceeds) {
  auto store = open();
  auto blobs = store->blobs();
  Digest before = put(*blobs, "before");
  ASSERT_TRUE(blobs->sync(Context()));

  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit unlimited;
  ::getrlimit(RLIMIT_FSIZE, &unlimited);
  struct rlimit limit = unlimited;
  limit.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::string text = text_of_size(5000, 3);
  Digest digest = put(*blobs, text);
  auto synced = blobs->sync(Context());
  ::setrlimit(RLIMIT_FSIZE, &unlimited);
  std::signal(SIGXFSZ, old_handler);

  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error().kind(), ErrorKind::kExhausted) << synced.error().message();
  EXPECT_EQ(get(*blobs, before), "before");
  EXPECT_EQ(get(*blobs, digest), text) << "a blob that waits for room is still there";
  ASSERT_TRUE(blobs->sync(Context()));
  blobs.reset();
  store.reset();
  EXPECT_EQ(get(*open()->blobs(), digest), text);
}

TEST_F(LocalStoreTest, ItsFolderIsForItsOwnerAlone) {
  for (const char* as_given : {"/above/store", "/slash/", "/slashes//", "/dots/./", "/dot/."}) {
    store_ = folder_ + as_given;
    open();
    EXPECT_EQ(std::filesystem::status(store_).permissions(), std::filesystem::perms(0700))
        << as_given;
  }
}

TEST_F(LocalStoreTest, SeveralProcessesMakeOneStoreAtOnce) {
  for (int round = 0; round < 20; ++round) {
    std::filesystem::remove_all(store_);
    int go[2];
    ASSERT_EQ(::pipe(go), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      children.push_back(::fork());
      if (children.back() != 0) continue;
      char byte = 0;
      ::close(go[1]);
      (void)!::read(go[0], &byte, 1);  // until the parent closes it
      ::_exit(LocalStore::open(store_, OpenMode::kCreate) ? 0 : 1);
    }
    ::close(go[0]);
    ::close(go[1]);
    for (pid_t child : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
  }
}

// As on a read-only medium; mounting one takes root.
TEST_F(LocalStoreTest, OneThatMayNotBeWrittenToIsReadable) {
  Digest small;
  Digest large;
  {
    auto store = open();
    small = put(*store->blobs(), "small");
    large = put(*store->blobs(), text_of_size(300000, 1));
  }
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for a mount";
  pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount(store_.c_str(), store_.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, store_.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
      ::_exit(77);
    auto store = LocalStore::open(store_, OpenMode::kExisting);
    if (!store) ::_exit(1);
    auto blobs = (*store)->blobs();
    if (get(*blobs, small) != "small" || get(*blobs, large).size() != 300000) ::_exit(2);
    // Writing fails with words.
    auto stored = blobs->put(Context(), blake3("new"), Bytes::copy_of("new"));
    auto synced = blobs->sync(Context());
    ::_exit(!synced && synced.error().kind() == ErrorKind::kDenied ? 0 : 3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs mount(2)";
  EXPECT_EQ(status, 0);
}

TEST_F(LocalStoreTest, ALargeBlobWhoseFileIsGoneOrCutIsStoredAnew) {
  const std::string text = text_of_size(300000, 1);
  Digest digest;
  {
    auto store = open();
    digest = put(*store->blobs(), text);
  }
  const std::string hex = digest.to_hex();
  const std::string path = store_ + "/blobs/" + hex.substr(0, 2) + "/" + hex;
  for (bool gone : {true, false}) {
    if (gone)
      std::filesystem::remove(path);
    else
      std::filesystem::resize_file(path, 1000);
    auto blobs = open()->blobs();
    EXPECT_FALSE(*blobs->has(Context(), digest));
    put(*blobs, text);
    ASSERT_TRUE(blobs->sync(Context()));
    EXPECT_EQ(get(*blobs, digest), text);
  }
}

TEST_F(LocalStoreTest, TheImportCacheRemembersAStampOnlyAsItWas) {
  store::SourceStamp stamp{1, 2, 3, 4, 5, 6};
  Node root = FileNode{blake3("x"), 1, false};
  store::NarSummary nar{120, sha256(bytes_of("nar"))};
  {
    auto store = open();
    auto cache = store->import_cache();
    ASSERT_TRUE(cache->remember_source(Context(), stamp, blake3("x")));
    ASSERT_TRUE(cache->remember_nar(Context(), root, nar));
  }
  auto cache = open()->import_cache();
  EXPECT_EQ(*cache->find_source(Context(), stamp), blake3("x"));
  for (auto member : {&store::SourceStamp::filesystem, &store::SourceStamp::device,
                      &store::SourceStamp::inode, &store::SourceStamp::size}) {
    store::SourceStamp other = stamp;
    other.*member += 1;
    EXPECT_EQ(*cache->find_source(Context(), other), std::nullopt);
  }
  for (auto member : {&store::SourceStamp::mtime_ns, &store::SourceStamp::ctime_ns}) {
    store::SourceStamp other = stamp;
    other.*member += 1;
    EXPECT_EQ(*cache->find_source(Context(), other), std::nullopt);
  }
  EXPECT_EQ(*cache->find_nar(Context(), root), nar);
  EXPECT_EQ(*cache->find_nar(Context(), FileNode{blake3("x"), 1, true}), std::nullopt);
}

}  // namespace
}  // namespace castore::backends
