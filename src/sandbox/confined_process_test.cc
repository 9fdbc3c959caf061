// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sandbox/confined_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "backends/local/local_store.h"
#include "base/error_word.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "digest/blake3.h"
#include "sandbox/call_filter.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"

namespace castore::sandbox {
namespace {

using store::testing::must;
using testing::HasSubstr;

// In run_apart's process.
pid_t waiting_process = 0;

// run_confined in a process of its own: it is for once in a process.
Result<void> run_apart(const Confinement& confinement, const std::function<Result<void>()>& serve) {
  int ends[2];
  if (::pipe(ends) != 0) return fail_errno(errno, "making a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_t child = ::fork();
  if (child == 0) {
    read_end.reset();
    waiting_process = ::getpid();
    Result<void> outcome = run_confined(confinement, serve);
    if (outcome) ::_exit(0);
    std::string word = word_of_error(outcome.error());
    ::_exit(::write(write_end.get(), word.data(), word.size()) > 0 ? 1 : 2);
  }
  write_end.reset();
  std::string word(64 * 1024, '\0');
  word.resize(must(read_some(
      read_end.get(), {reinterpret_cast<std::byte*>(word.data()), word.size()}, "the pipe")));
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return std::unexpected(error_of_word(word));
}

Result<void> claim(bool holds, std::string_view what) {
  if (holds) return {};
  return fail(ErrorKind::kInternal, "not so: {}", what);
}

std::string message_of(const Result<void>& outcome) {
  return outcome ? "no error" : outcome.error().message();
}

testing::AssertionResult holds(const Result<void>& outcome) {
  return outcome ? testing::AssertionSuccess()
                 : testing::AssertionFailure() << outcome.error().message();
}

class ConfinedProcess : public testing::Test {
 protected:
  void SetUp() override {
    // A container often allows none of it.
    auto possible = run_apart({}, [] { return Result<void>(); });
    if (!possible) GTEST_SKIP() << "needs namespaces: " << possible.error().message();
    folder_.write_file("data", "content");
    folder_.write_file("lock", "");
    confinement_.places.folders = {folder_.path()};
  }

  Result<void> run(const std::function<Result<void>()>& serve) {
    return run_apart(confinement_, serve);
  }

  store::testing::TempFolder folder_;
  Confinement confinement_;
};

TEST_F(ConfinedProcess, SeesTheGivenFolderAndNothingElse) {
  EXPECT_TRUE(holds(run([&]() -> Result<void> {
    CASTORE_TRY(claim(CASTORE_TRY(read_whole_file(folder_ / "data", 100)) == "content", "data"));
    for (const char* path : {"/etc", "/proc", "/dev", "/usr", "/home"})
      CASTORE_TRY(claim(::access(path, F_OK) != 0, path));
    return {};
  })));
}

TEST_F(ConfinedProcess, CannotWriteToTheFolder) {
  EXPECT_TRUE(holds(run([&]() -> Result<void> {
    CASTORE_TRY(claim(::open((folder_ / "data").c_str(), O_WRONLY) < 0 && errno == EROFS, "data"));
    CASTORE_TRY(claim(::unlink((folder_ / "data").c_str()) != 0 && errno == EROFS, "unlink"));
    return claim(::mkdir("/new", 0700) != 0 && errno == EROFS, "the root");
  })));
}

TEST_F(ConfinedProcess, CanWriteToTheFileThatIsNamed) {
  confinement_.places.written_files = {folder_ / "lock"};
  EXPECT_TRUE(holds(run([&]() -> Result<void> {
    UniqueFd lock = CASTORE_TRY(open_file(folder_ / "lock", O_RDWR));
    return write_all(lock.get(), bytes_of(std::string_view("mine")), "lock");
  })));
  EXPECT_EQ(read_whole_file(folder_ / "lock", 100).value(), "mine");
}

TEST_F(ConfinedProcess, HasNoCapabilityAndNoOtherProcess) {
  EXPECT_TRUE(holds(run([&]() -> Result<void> {
    CASTORE_TRY(claim(::mount("none", folder_.path().c_str(), "tmpfs", 0, nullptr) != 0, "mount"));
    CASTORE_TRY(claim(::chroot("/") != 0 && errno == EPERM, "chroot"));
    CASTORE_TRY(claim(::sethostname("x", 1) != 0 && errno == EPERM, "sethostname"));
    // -1 is everybody who can be reached; in a namespace of its own there is only its first
    // process, which takes no signal it has not asked for.
    return claim(::kill(-1, SIGKILL) == 0 || errno == ESRCH || errno == EPERM, "kill");
  })));
}

// LMDB tells readers of a database apart by it: two daemons must not both be number 2.
TEST_F(ConfinedProcess, HasTheNumberOfTheProcessThatWaits) {
  EXPECT_TRUE(holds(run([&] { return claim(::getpid() == waiting_process, "its number"); })));
}

TEST_F(ConfinedProcess, HasOnlyTheDescriptorsItIsToKeep) {
  UniqueFd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  confinement_.kept_descriptors = {kept.get()};
  EXPECT_TRUE(holds(run([&]() -> Result<void> {
    CASTORE_TRY(claim(::fcntl(kept.get(), F_GETFD) >= 0, "one is kept"));
    return claim(::fcntl(other.get(), F_GETFD) < 0, "the other is closed");
  })));
}

TEST_F(ConfinedProcess, GivesItsErrorToTheOneThatWaits) {
  auto outcome = run([&]() -> Result<void> { return fail(ErrorKind::kExhausted, "no room"); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind(), ErrorKind::kExhausted);
  EXPECT_EQ(outcome.error().message(), "no room");
}

TEST_F(ConfinedProcess, SaysWhenTheFilterKilledIt) {
  auto outcome = run([&]() -> Result<void> {
    CASTORE_TRY(forbid_unneeded_calls());
    return claim(::fork() < 0, "never");
  });
  EXPECT_THAT(message_of(outcome), HasSubstr("a system call that it never needs"));
}

TEST_F(ConfinedProcess, GetsTheSignalThatTheWaitingOneGets) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd started(ends[0]);
  UniqueFd start(ends[1]);
  confinement_.kept_descriptors = {start.get()};
  pid_t waiting = ::fork();
  if (waiting == 0) {
    auto outcome = run_confined(confinement_, [&]() -> Result<void> {
      sigset_t terminating;
      ::sigemptyset(&terminating);
      ::sigaddset(&terminating, SIGTERM);
      ::sigprocmask(SIG_BLOCK, &terminating, nullptr);
      if (::write(start.get(), "x", 1) != 1) return fail_errno(errno, "telling");
      int number = 0;
      ::sigwait(&terminating, &number);
      return claim(number == SIGTERM, "the signal");
    });
    ::_exit(outcome ? 0 : 1);
  }
  char byte;
  ASSERT_EQ(::read(started.get(), &byte, 1), 1);
  ::kill(waiting, SIGTERM);
  int status = 0;
  ASSERT_EQ(::waitpid(waiting, &status, 0), waiting);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(ConfinedProcess, DiesWithTheOneThatWaits) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  confinement_.kept_descriptors = {write_end.get()};
  pid_t waiting = ::fork();
  if (waiting == 0) {
    (void)run_confined(confinement_, [&]() -> Result<void> {
      if (::write(write_end.get(), "x", 1) != 1) return fail_errno(errno, "telling");
      for (;;) ::pause();
    });
    ::_exit(1);
  }
  write_end.reset();
  char byte;
  ASSERT_EQ(::read(read_end.get(), &byte, 1), 1);
  ::kill(waiting, SIGKILL);
  ASSERT_EQ(::waitpid(waiting, nullptr, 0), waiting);
  // The pipe ends when nobody has its other end any more.
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0);
}

// All that serving needs of a store: small blobs in packs, large ones in files of their own.
TEST_F(ConfinedProcess, ReadsAStoreUnderTheFilter) {
  const std::string store_folder = folder_ / "store";
  const std::string contents[] = {"small", std::string(backends::kPackedBlobBytesMax + 1, 'x')};
  {
    auto store = must(backends::LocalStore::open(store_folder, backends::OpenMode::kCreate));
    for (const std::string& content : contents)
      must(store->blobs()->put(Context(), blake3(content), Bytes::copy_of(content)));
    must(store->blobs()->sync(Context()));
  }
  confinement_.places = {.folders = {store_folder},
                         .written_files = {backends::reader_lock_path(store_folder)}};
  EXPECT_TRUE(holds(run([&]() -> Result<void> {
    auto store =
        CASTORE_TRY(backends::LocalStore::open(store_folder, backends::OpenMode::kExisting));
    CASTORE_TRY(forbid_unneeded_calls());
    for (const std::string& content : contents) {
      std::optional<Bytes> read;
      std::thread reader([&] {
        auto found = store::read_blob(Context(), *store->blobs(), blake3(content), SIZE_MAX);
        if (found) read = *std::move(found);
      });
      reader.join();
      CASTORE_TRY(claim(read && read->text() == content, "what is read"));
    }
    return {};
  })));
}

TEST_F(ConfinedProcess, ByChrootHasAFolderAsRootAndNoPrivileges) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  confinement_.mode = Mode::kChroot;
  EXPECT_TRUE(holds(run([&]() -> Result<void> {
    CASTORE_TRY(claim(CASTORE_TRY(read_whole_file("/data", 100)) == "content", "data"));
    CASTORE_TRY(claim(::access("/etc", F_OK) != 0, "/etc"));
    return claim(::chroot("/") != 0 && errno == EPERM, "chroot");
  })));
}

TEST_F(ConfinedProcess, BecomesTheOwnerOfTheFolder) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  constexpr uid_t kSomebody = 4711;
  ASSERT_EQ(::chown(folder_.path().c_str(), kSomebody, kSomebody), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0700), 0);
  EXPECT_TRUE(holds(run([&]() -> Result<void> {
    CASTORE_TRY(claim(::getuid() == kSomebody && ::getgid() == kSomebody, "the user"));
    return claim(CASTORE_TRY(read_whole_file(folder_ / "data", 100)) == "content", "data");
  })));
}

}  // namespace
}  // namespace castore::sandbox
