// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sandbox/call_filter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "base/unique_fd.h"
#include "sandbox/privileges.h"

namespace castore::sandbox {
namespace {

constexpr int kNotRestricted = 99;

// How a process ends that puts the filter on and then does this: what waitpid says.
int status_after(const std::function<int()>& act) {
  pid_t child = ::fork();
  if (child == 0) {
    if (!give_up_privileges() || !forbid_unneeded_calls()) ::_exit(kNotRestricted);
    ::_exit(act());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

testing::AssertionResult is_killed(const std::function<int()>& act) {
  int status = status_after(act);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "it ended with status " << status;
}

testing::AssertionResult works(const std::function<int()>& act) {
  int status = status_after(act);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "it ended with status " << status;
}

// Zero where the descriptor came through a socket and can be read.
int pass_a_descriptor() {
  int pair[2];
  if (::syscall(SYS_getpid) <= 0) return 1;
  // The sockets exist before, as in the daemon.
  pair[0] = 100;
  pair[1] = 101;
  int file = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 2;
  char byte = 'x';
  iovec part = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  *reinterpret_cast<int*>(CMSG_DATA(header)) = file;
  if (::sendmsg(pair[0], &message, 0) != 1) return 3;
  if (::recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC) != 1) return 4;
  int received = *reinterpret_cast<int*>(CMSG_DATA(CMSG_FIRSTHDR(&message)));
  return ::read(received, &byte, 1) == 1 ? 0 : 5;
}

TEST(CallFilter, KillsOverANewProcess) {
  EXPECT_TRUE(is_killed([] { return ::fork(); }));
  EXPECT_TRUE(is_killed([] { return ::vfork() == 0 ? (::_exit(0), 0) : 0; }));
}

TEST(CallFilter, KillsOverAProgram) {
  EXPECT_TRUE(is_killed([] { return ::execl("/bin/true", "true", nullptr); }));
}

TEST(CallFilter, KillsOverANewSocket) {
  EXPECT_TRUE(is_killed([] { return ::socket(AF_INET, SOCK_STREAM, 0); }));
  EXPECT_TRUE(is_killed([] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }));
}

TEST(CallFilter, KillsOverOpeningAFileToWrite) {
  EXPECT_TRUE(is_killed([] { return ::open("/dev/null", O_WRONLY); }));
  EXPECT_TRUE(is_killed([] { return ::open("/dev/null", O_RDWR); }));
  EXPECT_TRUE(is_killed([] { return ::open("/dev/null", O_RDONLY | O_TRUNC); }));
  EXPECT_TRUE(is_killed([] { return ::open("/tmp/x", O_RDONLY | O_CREAT, 0600); }));
}

TEST(CallFilter, KillsOverChangingNames) {
  EXPECT_TRUE(is_killed([] { return ::unlink("/tmp/castore-no-such-file"); }));
  EXPECT_TRUE(is_killed([] { return ::rename("/tmp/castore-no-such-file", "/tmp/x"); }));
  EXPECT_TRUE(is_killed([] { return ::mkdir("/tmp/castore-no-such-folder/x", 0700); }));
}

TEST(CallFilter, KillsOverExecutableMemory) {
  EXPECT_TRUE(is_killed([] {
    return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
           MAP_FAILED;
  }));
  EXPECT_TRUE(is_killed([] {
    void* page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return ::mprotect(page, 4096, PROT_READ | PROT_EXEC);
  }));
}

TEST(CallFilter, KillsOverReachingForOtherProcesses) {
  EXPECT_TRUE(is_killed([] { return ::kill(::getppid(), 0); }));
  EXPECT_TRUE(is_killed(
      [] { return static_cast<int>(::syscall(SYS_tgkill, ::getpid() + 1, ::getpid() + 1, 0)); }));
  EXPECT_TRUE(is_killed([] { return static_cast<int>(::ptrace(PTRACE_ATTACH, 1, 0, 0)); }));
}

TEST(CallFilter, KillsFromWhicheverThreadThatWasThereBefore) {
  pid_t child = ::fork();
  if (child == 0) {
    UniqueFd go(::eventfd(0, EFD_CLOEXEC));
    std::thread other([&] {
      eventfd_t value;
      (void)::eventfd_read(go.get(), &value);
      (void)::kill(1, 0);
    });
    if (!give_up_privileges() || !forbid_unneeded_calls()) ::_exit(kNotRestricted);
    (void)::eventfd_write(go.get(), 1);
    other.join();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  // The other thread had no say in giving up privileges: the filter takes it along all the same.
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << status;
}

TEST(CallFilter, LetsFilesBeReadAndMapped) {
  EXPECT_TRUE(works([] {
    int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char bytes[16];
    if (file < 0 || ::pread(file, bytes, sizeof bytes, 0) != sizeof bytes) return 1;
    void* mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED || ::munmap(mapped, 4096) != 0) return 2;
    return ::close(file);
  }));
}

TEST(CallFilter, LetsThreadsStartAndHaveNames) {
  EXPECT_TRUE(works([] {
    int seen = 0;
    std::thread thread([&] { seen = ::prctl(PR_SET_NAME, "inside", 0, 0, 0) == 0 ? 1 : 2; });
    thread.join();
    return seen == 1 ? 0 : 1;
  }));
}

TEST(CallFilter, LetsEventsAndSharedMemoryBeMade) {
  EXPECT_TRUE(works([] {
    int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    eventfd_t value = 0;
    if (event < 0 || ::eventfd_write(event, 3) != 0 || ::eventfd_read(event, &value) != 0) return 1;
    int memory = ::memfd_create("requests", MFD_CLOEXEC);
    if (memory < 0 || ::ftruncate(memory, 4096) != 0) return 2;
    void* mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    return mapped == MAP_FAILED ? 3 : 0;
  }));
}

TEST(CallFilter, LetsDescriptorsComeThroughASocket) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ASSERT_EQ(::dup2(pair[0], 100), 100);
  ASSERT_EQ(::dup2(pair[1], 101), 101);
  EXPECT_TRUE(works(pass_a_descriptor));
  for (int fd : {pair[0], pair[1], 100, 101}) ::close(fd);
}

TEST(CallFilter, LetsAnAbortEndTheProcess) {
  int status = status_after([]() -> int { std::abort(); });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
}

}  // namespace
}  // namespace castore::sandbox
