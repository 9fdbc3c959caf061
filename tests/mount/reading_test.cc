// SPDX-License-Identifier: MIT OR Apache-2.0
// Reading through a mount in the ways that programs do.
#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "base/file.h"
#include "base/unique_fd.h"
#include "digest/blake3.h"
#include "mount_test_base.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"

namespace castore::mount_tests {
namespace {

using store::testing::noise;

class MountedFiles : public MountTest {
 protected:
  UniqueFd open(std::string_view below) {
    UniqueFd fd(::open(at(below).c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(fd);
    return fd;
  }
};

std::string pread_text(int fd, off_t offset, size_t size) {
  std::string text(size, '\0');
  ssize_t n = ::pread(fd, text.data(), size, offset);
  EXPECT_GE(n, 0) << errno;
  text.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  return text;
}

TEST_F(MountedFiles, AtAndBeyondTheEndThereIsNothing) {
  std::string content = noise(10000, 1);
  mount({{"f", file(content)}});
  UniqueFd fd = open("f");
  EXPECT_EQ(pread_text(fd.get(), 9990, 100), content.substr(9990));
  EXPECT_EQ(pread_text(fd.get(), 10000, 100), "");
  EXPECT_EQ(pread_text(fd.get(), 1 << 30, 100), "");
}

TEST_F(MountedFiles, ReadsPastTheCacheComeStraightFromTheStore) {
  std::string content = noise(3 << 20, 2);
  mount({{"f", file(content)}});
  UniqueFd fd(::open(at("f").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  ASSERT_TRUE(fd) << errno;
  EXPECT_TRUE(pread_text(fd.get(), 4096, 2 << 20) == content.substr(4096, 2 << 20));
}

TEST_F(MountedFiles, SeekingKnowsDataAndHoles) {
  mount({{"f", file(noise(10000, 3))}});
  UniqueFd fd = open("f");
  EXPECT_EQ(::lseek(fd.get(), 77, SEEK_DATA), 77);
  EXPECT_EQ(::lseek(fd.get(), 77, SEEK_HOLE), 10000);
  EXPECT_EQ(::lseek(fd.get(), 10000, SEEK_DATA), -1);
  EXPECT_EQ(errno, ENXIO);
  EXPECT_EQ(::lseek(fd.get(), -1, SEEK_END), 9999);
}

TEST_F(MountedFiles, MappingsShowTheContent) {
  std::string content = noise(1'500'000, 4);
  mount({{"f", file(content)}});
  std::string path = at("f");
  // In a process of its own: a fault must never wait for a thread of the process that faults.
  for (int sharing : {MAP_PRIVATE, MAP_SHARED})
    EXPECT_EQ(in_child([&] {
                int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
                void* map = ::mmap(nullptr, content.size(), PROT_READ, sharing, fd, 0);
                if (map == MAP_FAILED) return 1;
                return std::memcmp(map, content.data(), content.size()) == 0 ? 0 : 2;
              }),
              0);
}

TEST_F(MountedFiles, SendfileMovesTheContent) {
  std::string content = noise(300'000, 5);
  mount({{"f", file(content)}});
  UniqueFd in = open("f");
  std::string copy = folder_ / "copy";
  UniqueFd out = store::testing::must(open_file(copy, O_WRONLY | O_CREAT, 0644));
  size_t moved = 0;
  while (moved < content.size()) {
    ssize_t n = ::sendfile(out.get(), in.get(), nullptr, content.size() - moved);
    ASSERT_GT(n, 0) << errno;
    moved += static_cast<size_t>(n);
  }
  EXPECT_TRUE(*read_file(copy) == content);
}

TEST_F(MountedFiles, ProgramsRunFromTheMount) {
  std::string shell = *read_file(std::filesystem::canonical("/bin/sh"));
  Node tree = store::testing::TreeBuilder(services_)
                  .file("bin/sh", shell, true)
                  .file("bin/script", "#!/bin/sh\nexit 9\n", true)
                  .file("bin/plain", shell)
                  .build();
  mount({{"tree", tree}});
  auto run = [&](const std::string& program, std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), program.c_str());
    arguments.push_back(nullptr);
    pid_t child = -1;
    int status = ::posix_spawn(&child, program.c_str(), nullptr, nullptr,
                               const_cast<char**>(arguments.data()), environ);
    if (status != 0) return -status;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
  };
  EXPECT_EQ(run(at("tree/bin/sh"), {"-c", "exit 7"}), 7);
  EXPECT_EQ(run(at("tree/bin/script"), {}), 9);
  EXPECT_EQ(run(at("tree/bin/plain"), {"-c", "exit 7"}), -EACCES);
}

TEST_F(MountedFiles, LocksAreTheKernelsOwn) {
  mount({{"f", file("content")}});
  UniqueFd one = open("f");
  UniqueFd other = open("f");
  EXPECT_EQ(::flock(one.get(), LOCK_EX), 0);
  EXPECT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), -1);
  EXPECT_EQ(errno, EWOULDBLOCK);
  EXPECT_EQ(::fsync(one.get()), 0);
  EXPECT_EQ(::ioctl(one.get(), 0x1234), -1);
  EXPECT_EQ(errno, ENOTTY);
}

TEST_F(MountedFiles, ASlowOpenHoldsUpNothingElse) {
  store_may_be_slow_ = true;
  mount({{"slow", file("slow")},
         {"tree", store::testing::TreeBuilder(services_).symlink("a/b", "c").build()}});
  gated_->open_gate().close();
  std::thread reader([&] { EXPECT_EQ(*read_file(at("slow")), "slow"); });
  gated_->open_gate().wait_until_held(1);
  EXPECT_EQ(*link_target(at("tree/a/b")), "c");
  EXPECT_EQ(error_of(stat_of(at("tree/absent"))), ENOENT);
  EXPECT_EQ(list_folder(at("tree"))->size(), 1u);
  gated_->open_gate().open();
  reader.join();
}

TEST_F(MountedFiles, AFailedReadIsTriedAgain) {
  auto late = blake3("late");
  mount({{"late", FileNode{late, 4, false}}});
  EXPECT_EQ(error_of(read_file(at("late"))), EIO);
  store::testing::put_blob(services_, "late");
  EXPECT_EQ(*read_file(at("late")), "late");
}

// The source in memory is the oracle for every byte.
TEST_F(MountedFiles, ManyThreadsReadAtRandom) {
  constexpr size_t kFiles = 40;
  constexpr size_t kThreads = 64;
  constexpr size_t kReadsEach = 150;
  std::vector<std::string> contents;
  store::testing::TreeBuilder builder(services_);
  for (size_t i = 0; i < kFiles; ++i) {
    contents.push_back(noise(i * i * 1300, i));
    builder.file("d" + std::to_string(i % 5) + "/f" + std::to_string(i), contents.back());
  }
  mount({{"tree", builder.build()}});

  UniqueFd shared = open("tree/d4/f39");
  std::atomic<size_t> wrong = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::string buffer(300'000, '\0');
      for (size_t i = 0; i < kReadsEach; ++i) {
        size_t which = random() % kFiles;
        bool on_shared = random() % 4 == 0;
        if (on_shared) which = 39;
        const std::string& content = contents[which];
        UniqueFd own;
        if (!on_shared)
          own = UniqueFd(::open(
              at("tree/d" + std::to_string(which % 5) + "/f" + std::to_string(which)).c_str(),
              O_RDONLY | O_CLOEXEC));
        size_t offset = random() % (content.size() + 10);
        size_t size = random() % 8 == 0 ? buffer.size() : random() % 5000;
        ssize_t n = ::pread(on_shared ? shared.get() : own.get(), buffer.data(), size,
                            static_cast<off_t>(offset));
        std::string_view expected;
        if (offset < content.size()) expected = std::string_view(content).substr(offset, size);
        if (n < 0 || std::string_view(buffer.data(), static_cast<size_t>(n)) != expected) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0u);
}

}  // namespace
}  // namespace castore::mount_tests
