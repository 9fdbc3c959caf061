// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What of a store survives: a writer that is killed between any two of its steps, a loss of power
// at any of them, a disk that reports an error, and other processes that write at the same time.
// Small sizes (local::Tuning) bring every step about within a few objects.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "backends/local/local_store.h"
#include "backends/local/pack_files.h"
#include "backends/local/tuning.h"
#include "base/file.h"
#include "digest/blake3.h"

namespace castore::backends::local {
namespace {

namespace fs = std::filesystem;

std::string text_of_size(size_t size, unsigned seed) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    seed = seed * 1664525 + 1013904223;
    text[i] = static_cast<char>(seed >> 24);
  }
  return text;
}

// A batch holds a few objects of some kilobytes, a pack a few batches, a transaction two records.
Tuning small_tuning(std::shared_ptr<Disk> disk = std::make_shared<Disk>()) {
  return {.pack_bytes_max = 40'000,
          .pack_step_bytes = 6'000,
          .batch_memory_bytes = 2'000,
          .batch_packed_bytes = 15'000,
          .batch_files = 2,
          .transaction_inserts = 2,
          .unnamed_files = true,
          .disk = std::move(disk)};
}

std::shared_ptr<LocalStore> open_store(const std::string& folder, const Tuning& tuning) {
  auto store = LocalStore::open(folder, OpenMode::kCreate, tuning);
  EXPECT_TRUE(store) << store.error().message();
  return store ? *store : nullptr;
}

Result<void> put(store::BlobService& blobs, const std::string& text) {
  CASTORE_TRY(blobs.put(Context(), blake3(text), Bytes::copy_of(text)));
  return {};
}

// A small tree of its own for each seed: some small files and now and then a large one, a folder.
struct Tree {
  std::vector<std::string> files;
  Directory directory;
  nix::PathInfo info;
};
Tree tree_of(unsigned seed) {
  std::vector<std::string> files;
  for (unsigned i = 0; i < 4; ++i)
    files.push_back(text_of_size(1 + (seed * 7 + i) * 911 % 9000, seed * 10 + i));
  if (seed % 3 == 0) files.push_back(text_of_size(kPackedBlobBytesMax + 1 + seed, seed));
  DirectoryBuilder builder;
  for (size_t i = 0; i < files.size(); ++i)
    EXPECT_TRUE(
        builder.add(fmt::format("{}", i), FileNode{blake3(files[i]), files[i].size(), false}));
  Directory directory = *builder.build();
  auto node = DirectoryNode{directory.digest(), directory.size(SizeConvention::kDocumented)};
  nix::PathInfo info{
      .store_path = *nix::store_path_of_nar(sha256(bytes_of(fmt::format("{}", seed))), "tree"),
      .node = node,
      .references = {},
      .nar_size = seed,
      .nar_sha256 = {},
      .signatures = {},
      .deriver = std::nullopt,
      .content_address = std::nullopt};
  return {std::move(files), std::move(directory), std::move(info)};
}

// As an import does: blobs, directory, path.
Result<void> store_tree(LocalStore& store, unsigned seed) {
  Tree tree = tree_of(seed);
  for (const std::string& file : tree.files) CASTORE_TRY(put(*store.blobs(), file));
  CASTORE_TRY(store.directories()->put(Context(), tree.directory));
  return store.path_infos()->put(Context(), tree.info);
}

// Everything there reads as it should, what refers to something refers to something that is there,
// and all trees of `promised` are. "" or what is wrong.
std::string fault_of(LocalStore& store, const std::set<unsigned>& promised) {
  Context ctx;
  auto blobs = store.blobs();
  auto directories = store.directories();
  auto check = [&]() -> Result<void> {
    CASTORE_TRY(blobs->list(ctx, [&](const Digest& digest, uint64_t) -> Result<void> {
      if (!CASTORE_TRY(store::read_blob(ctx, *blobs, digest, 1 << 20)))
        return fail(ErrorKind::kCorrupt, "listed blob {} is absent", digest);
      return {};
    }));
    CASTORE_TRY(directories->list(ctx, [&](const Digest& digest) -> Result<void> {
      auto directory = CASTORE_TRY(directories->get(ctx, digest));
      for (size_t i = 0; i < directory->entry_count(); ++i)
        if (!CASTORE_TRY(blobs->has(ctx, directory->entry(i).digest)))
          return fail(ErrorKind::kCorrupt, "entry {} of directory {} is absent", i, digest);
      return {};
    }));
    std::set<nix::StorePathDigest> paths;
    CASTORE_TRY(store.path_infos()->list(
        ctx, [&](const nix::StorePathDigest& digest, Result<nix::PathInfo> info) -> Result<void> {
          paths.insert(digest);
          const Node node = CASTORE_TRY(std::move(info)).node;
          if (!CASTORE_TRY(directories->get(ctx, std::get<DirectoryNode>(node).digest)))
            return fail(ErrorKind::kCorrupt, "the root of {} is absent", digest.to_text());
          return {};
        }));
    for (unsigned seed : promised) {
      Tree tree = tree_of(seed);
      if (!paths.contains(tree.info.store_path.digest()))
        return fail(ErrorKind::kCorrupt, "tree {} was stored, and its path is not there", seed);
      for (const std::string& file : tree.files)
        if (!CASTORE_TRY(blobs->has(ctx, blake3(file))))
          return fail(ErrorKind::kCorrupt, "tree {} was stored, and lacks a file", seed);
    }
    return {};
  };
  auto checked = check();
  return checked ? "" : checked.error().message();
}

class Durability : public testing::Test {
 protected:
  Durability() {
    // Memory does: no test here relies on the disk's own flushes, and there are thousands.
    std::string memory = "/dev/shm";
    std::string pattern =
        (::access(memory.c_str(), W_OK) == 0 ? memory : testing::TempDir()) + "/durability.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    store_ = folder_ + "/store";
  }
  ~Durability() override { fs::remove_all(folder_); }

  // What `act` gives, in a process of its own, which ends there.
  template <typename Act>
  static pid_t in_child(Act act) {
    pid_t child = ::fork();
    if (child == 0) ::_exit(act());
    return child;
  }
  static int exit_code(pid_t child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string folder_;
  std::string store_;
};

// Ends the process, as kill -9 does, when the store is about to take its n-th step to disk.
class KillingDisk final : public Disk {
 public:
  explicit KillingDisk(int steps) : steps_(steps) {}

  Result<void> flush_file(int fd, const std::string& path) override {
    step();
    return Disk::flush_file(fd, path);
  }
  Result<void> flush_folder(const std::string& path) override {
    step();
    return Disk::flush_folder(path);
  }
  Result<void> commit(Database::Writer& writer) override {
    step();
    return Disk::commit(writer);
  }

  static constexpr int kKilled = 99;

 private:
  void step() {
    if (--steps_ == 0) ::_exit(kKilled);
  }
  std::atomic<int> steps_;
};

TEST_F(Durability, AWriterKilledBeforeAnyOfItsStepsLosesNothingThatWasPromised) {
  constexpr unsigned kTrees = 6;
  std::set<unsigned> promised;
  unsigned seed = 0;
  bool was_killed = true;
  for (int steps = 1; was_killed; ++steps) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    pid_t child = in_child([&] {
      auto store = LocalStore::open(store_, OpenMode::kCreate,
                                    small_tuning(std::make_shared<KillingDisk>(steps)));
      if (!store) return 1;
      for (unsigned i = 0; i < kTrees; ++i)
        if (!store_tree(**store, seed + i) || ::write(pipe[1], "p", 1) != 1) return 2;
      return 0;
    });
    ::close(pipe[1]);
    char byte;
    for (unsigned i = 0; ::read(pipe[0], &byte, 1) == 1; ++i) promised.insert(seed + i);
    ::close(pipe[0]);
    int code = exit_code(child);
    was_killed = code == KillingDisk::kKilled;
    ASSERT_TRUE(was_killed || code == 0) << code;
    auto store = open_store(store_, small_tuning());
    ASSERT_EQ(fault_of(*store, promised), "") << "after " << steps << " steps";
    seed += kTrees;
  }
  EXPECT_GT(seed, 30 * kTrees) << "the store took few steps: the test is too small";
}

// Knows at each step what a loss of power would leave, by the rules of POSIX: of a file, what was
// there when it was flushed last; of a folder, the names that were. And hands over a store made of
// that, for each of several things that can have become of what was not flushed.
class PowerDisk final : public Disk {
 public:
  using Look = std::function<void(const std::string& image)>;
  PowerDisk(std::string store, std::string image, Look look)
      : store_(std::move(store)), image_(std::move(image)), look_(std::move(look)) {}

  Result<void> flush_file(int fd, const std::string& path) override {
    look();
    auto status = CASTORE_TRY(stat_fd(fd, path));
    std::string content(static_cast<size_t>(status.st_size), '\0');
    CASTORE_TRY(
        read_at(fd, 0, {reinterpret_cast<std::byte*>(content.data()), content.size()}, path));
    files_[status.st_ino] = std::move(content);
    return Disk::flush_file(fd, path);
  }
  Result<void> flush_folder(const std::string& path) override {
    look();
    std::map<std::string, ino_t> names;
    for (const auto& entry : fs::directory_iterator(path)) {
      struct stat status;
      if (::lstat(entry.path().c_str(), &status) == 0)
        names[entry.path().filename()] = status.st_ino;
    }
    folders_[path] = std::move(names);
    return Disk::flush_folder(path);
  }
  Result<void> commit(Database::Writer& writer) override {
    look();
    return Disk::commit(writer);
  }

  // Not while the store is being opened: another cannot be, meanwhile.
  bool is_open = false;
  int looks = 0;

 private:
  enum class Unflushed { kGone, kZeros, kWritten };

  void look() {
    if (!is_open) return;
    for (Unflushed unflushed : {Unflushed::kGone, Unflushed::kZeros, Unflushed::kWritten}) {
      fs::remove_all(image_);
      fs::create_directories(image_);
      // Both are written durably without this class; no transaction is half-way at this moment.
      fs::copy_file(store_ + "/format", image_ + "/format");
      fs::copy_file(store_ + "/database", image_ + "/database");
      restore("", unflushed);
      // On another thread, as another process would: this one may be in a transaction.
      std::thread(look_, image_).join();
      looks++;
    }
  }

  void restore(const std::string& folder, Unflushed unflushed) {
    auto names = folders_.find(store_ + folder);
    if (names == folders_.end()) return;
    for (const auto& [name, inode] : names->second) {
      std::string path = folder + "/" + name;
      if (fs::is_directory(store_ + path)) {
        fs::create_directories(image_ + path);
        restore(path, unflushed);
      } else if (!folder.empty()) {
        auto flushed = files_.find(inode);
        std::string content = flushed == files_.end() ? "" : flushed->second;
        std::string now = *read_whole_file(store_ + path, 1 << 24);
        if (unflushed == Unflushed::kWritten) content = now;
        if (unflushed == Unflushed::kZeros && now.size() > content.size())
          content.resize(now.size(), '\0');
        std::ofstream(image_ + path, std::ios::binary) << content;
      }
    }
  }

  std::string store_;
  std::string image_;
  Look look_;
  std::map<ino_t, std::string> files_;
  std::map<std::string, std::map<std::string, ino_t>> folders_;
};

TEST_F(Durability, PowerLostAtAnyStepLosesNothingThatWasPromised) {
  Guarded<std::set<unsigned>> promised;
  unsigned next_seed = 1000;
  auto look = [&](const std::string& image) {
    std::set<unsigned> wanted = *promised.lock();
    auto store = open_store(image, small_tuning());
    ASSERT_EQ(fault_of(*store, wanted), "");
    // Going on with what is left must not harm it either.
    ASSERT_TRUE(store_tree(*store, ++next_seed));
    wanted.insert(next_seed);
    ASSERT_EQ(fault_of(*store, wanted), "") << "after going on";
  };
  auto disk = std::make_shared<PowerDisk>(store_, folder_ + "/image", look);
  auto store = open_store(store_, small_tuning(disk));
  disk->is_open = true;
  for (unsigned seed = 0; seed < 6; ++seed) {
    ASSERT_TRUE(store_tree(*store, seed));
    promised.lock()->insert(seed);
  }
  store.reset();
  EXPECT_GT(disk->looks, 100);
}

enum class Step { kFile, kFolder, kCommit };

// Fails a step once, as Linux reports a failed write-back once, and says that all is well after.
class FailingDisk final : public Disk {
 public:
  Result<void> flush_file(int fd, const std::string& path) override {
    CASTORE_TRY(fail_if(Step::kFile));
    return Disk::flush_file(fd, path);
  }
  Result<void> flush_folder(const std::string& path) override {
    CASTORE_TRY(fail_if(Step::kFolder));
    return Disk::flush_folder(path);
  }
  Result<void> commit(Database::Writer& writer) override {
    CASTORE_TRY(fail_if(Step::kCommit));
    commits++;
    return Disk::commit(writer);
  }

  void fail_next(Step step, int error = EIO) {
    error_ = error;
    failing_ = step;
  }
  std::atomic<int> commits{0};

 private:
  Result<void> fail_if(Step step) {
    if (failing_ != step) return {};
    failing_ = std::nullopt;
    return fail_errno(error_, "writing to disk");
  }
  std::optional<Step> failing_;
  int error_ = 0;
};

TEST_F(Durability, AFailedFlushIsNotTriedAgain) {
  for (Step step : {Step::kFile, Step::kFolder, Step::kCommit}) {
    for (int error : {EIO, ENOSPC}) {
      if (step == Step::kCommit && error == ENOSPC) continue;  // see below
      fs::remove_all(store_);
      auto disk = std::make_shared<FailingDisk>();
      auto store = open_store(store_, small_tuning(disk));
      auto blobs = store->blobs();
      ASSERT_TRUE(put(*blobs, "before"));
      ASSERT_TRUE(blobs->sync(Context()));
      const std::string large = text_of_size(kPackedBlobBytesMax + 1, 1);
      disk->fail_next(step, error);
      int commits = disk->commits;
      (void)put(*blobs, large);
      (void)put(*blobs, "small");
      auto first = blobs->sync(Context());
      ASSERT_FALSE(first);
      auto second = blobs->sync(Context());
      EXPECT_FALSE(second) << "the disk said yes the second time, and the bytes are gone";
      EXPECT_FALSE(put(*blobs, "later")) << "it may refer to what is lost";
      EXPECT_FALSE(*blobs->has(Context(), blake3("small")));
      EXPECT_FALSE(*blobs->has(Context(), blake3(large)));
      EXPECT_TRUE(*blobs->has(Context(), blake3("before")));
      blobs.reset();
      store.reset();
      EXPECT_EQ(disk->commits, commits) << "the index was told at the end";

      store = open_store(store_, small_tuning());
      EXPECT_EQ(fault_of(*store, {}), "");
      EXPECT_TRUE(put(*store->blobs(), "small"));
      EXPECT_TRUE(store->blobs()->sync(Context()));
      EXPECT_EQ(fault_of(*store, {}), "");
    }
  }
}

TEST_F(Durability, AFailedFlushWithoutASyncIsNotBelievedWhenTheStoreIsClosed) {
  auto disk = std::make_shared<FailingDisk>();
  {
    auto store = open_store(store_, small_tuning(disk));
    disk->fail_next(Step::kFile);
    // Fills a batch, which is then written without being asked for.
    for (unsigned i = 0; i < 40; ++i) (void)put(*store->blobs(), text_of_size(3000, i));
  }
  EXPECT_EQ(disk->commits, 0);
  auto store = open_store(store_, small_tuning());
  EXPECT_EQ(store->facts()->blobs, 0u);
}

TEST_F(Durability, ADatabaseWithoutRoomIsTriedAgain) {
  auto disk = std::make_shared<FailingDisk>();
  auto store = open_store(store_, small_tuning(disk));
  disk->fail_next(Step::kCommit, ENOSPC);
  ASSERT_FALSE(store_tree(*store, 3));
  ASSERT_TRUE(store->blobs()->sync(Context()));
  store.reset();
  EXPECT_EQ(fault_of(*open_store(store_, small_tuning()), {3}), "");
}

// A second process writes while the first has filled its pack and not told the database yet.
TEST_F(Durability, AFullPackStaysItsWritersUntilItIsRecorded) {
  Tuning tuning = small_tuning();
  tuning.batch_packed_bytes = tuning.batch_memory_bytes = 1 << 30;  // nothing before the sync
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  // Before the store is open here: a lock would be the child's as well.
  pid_t child = in_child([&] {
    char byte;
    if (::read(go[0], &byte, 1) != 1) return 1;
    auto store = LocalStore::open(store_, OpenMode::kExisting, tuning);
    if (!store) return 2;
    for (unsigned seed = 100; seed < 110; ++seed)
      if (!store_tree(**store, seed)) return 3;
    return 0;
  });

  auto store = open_store(store_, tuning);
  ASSERT_TRUE(store_tree(*store, 1));  // makes pack 1 known
  std::vector<std::string> texts;
  for (unsigned i = 0; i < 40; ++i) texts.push_back(text_of_size(3000, i));
  for (const std::string& text : texts) ASSERT_TRUE(put(*store->blobs(), text));
  while (!fs::exists(pack_path(store_, 2))) std::this_thread::yield();
  ASSERT_EQ(::write(go[1], "g", 1), 1);
  EXPECT_EQ(exit_code(child), 0);
  ASSERT_TRUE(store->blobs()->sync(Context()));

  std::set<unsigned> promised = {1};
  for (unsigned seed = 100; seed < 110; ++seed) promised.insert(seed);
  EXPECT_EQ(fault_of(*store, promised), "");
  for (const std::string& text : texts) EXPECT_TRUE(*store->blobs()->has(Context(), blake3(text)));
  for (int fd : go) ::close(fd);
}

// Nothing may be cut off or written over on the word of one number in the database.
TEST_F(Durability, APackIsGoneOnWithBehindWhatIsThereWhateverItsRecordSays) {
  ASSERT_TRUE(store_tree(*open_store(store_, small_tuning()), 1));
  auto size_before = fs::file_size(pack_path(store_, 1));
  {
    auto database = Database::open(store_ + "/database", Database::Access::kWrite);
    ASSERT_TRUE(database);
    auto writer = (*database)->write();
    std::string key = pack_key(1);
    ASSERT_TRUE(
        writer->upsert(Table::kPacks, bytes_of(key), bytes_of(encode_pack_end(bytes_of(key), 10))));
    ASSERT_TRUE(writer->commit());
  }
  auto store = open_store(store_, small_tuning());
  ASSERT_TRUE(store_tree(*store, 2));
  EXPECT_GT(fs::file_size(pack_path(store_, 1)), size_before);
  EXPECT_EQ(fault_of(*store, {1, 2}), "");
}

TEST_F(Durability, APackWhoseRecordIsDamagedIsNotWrittenTo) {
  ASSERT_TRUE(store_tree(*open_store(store_, small_tuning()), 1));
  auto size_before = fs::file_size(pack_path(store_, 1));
  {
    auto database = Database::open(store_ + "/database", Database::Access::kWrite);
    auto writer = (*database)->write();
    ASSERT_TRUE(writer->upsert(Table::kPacks, bytes_of(pack_key(1)), bytes_of("damaged")));
    ASSERT_TRUE(writer->commit());
  }
  auto store = open_store(store_, small_tuning());
  ASSERT_TRUE(store_tree(*store, 2));
  EXPECT_EQ(fs::file_size(pack_path(store_, 1)), size_before);
  EXPECT_EQ(fault_of(*store, {1, 2}), "");
}

TEST_F(Durability, APackTheDatabaseDoesNotKnowIsLeftAlone) {
  ASSERT_TRUE(open_store(store_, small_tuning()));
  fs::create_directories(store_ + "/packs");
  std::ofstream(pack_path(store_, 1)) << "somebody else's";
  ASSERT_TRUE(store_tree(*open_store(store_, small_tuning()), 1));
  EXPECT_EQ(*read_whole_file(pack_path(store_, 1), 100), "somebody else's");
}

// A failed import is common (a full disk, an interrupt), so it must not cost room for good.
TEST_F(Durability, AStoreClosedInGoodOrderKeepsNoBytesThatNobodyKnows) {
  auto disk = std::make_shared<FailingDisk>();
  ASSERT_TRUE(store_tree(*open_store(store_, small_tuning()), 1));
  auto size_before = fs::file_size(pack_path(store_, 1));
  {
    auto store = open_store(store_, small_tuning(disk));
    for (int attempt = 0; attempt < 3; ++attempt) {
      disk->fail_next(Step::kCommit, ENOSPC);
      (void)put(*store->blobs(), text_of_size(5000, 7));
      (void)store->blobs()->sync(Context());
    }
    disk->fail_next(Step::kCommit, ENOSPC);
  }
  EXPECT_EQ(fs::file_size(pack_path(store_, 1)), size_before);
}

TEST_F(Durability, ADatabaseThatIsGoneIsNotReplacedByAnEmptyOne) {
  ASSERT_TRUE(store_tree(*open_store(store_, small_tuning()), 1));
  for (bool truncate : {false, true}) {
    if (truncate) {
      std::ofstream(store_ + "/database", std::ios::trunc);
    } else {
      fs::remove(store_ + "/database");
    }
    for (OpenMode mode : {OpenMode::kCreate, OpenMode::kExisting}) {
      auto opened = LocalStore::open(store_, mode);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().kind(), ErrorKind::kCorrupt) << opened.error().message();
    }
  }
}

}  // namespace
}  // namespace castore::backends::local
