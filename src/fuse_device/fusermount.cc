// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/fusermount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/file.h"

namespace castore::fuse_device {
namespace {

constexpr const char* kProgram = "fusermount3";
// The number under which the program finds its end of the socket, and the variable that says so.
constexpr int kSocketNumber = 3;
constexpr const char* kSocketVariable = "_FUSE_COMMFD=3";
constexpr size_t kWordsBytesMax = 4096;

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  return Pipe{.read_end = UniqueFd(ends[0]), .write_end = UniqueFd(ends[1])};
}

// Runs the program to its end. `socket` becomes its descriptor kSocketNumber, unless -1.
Result<void> run(std::vector<std::string> arguments, int socket) {
  Pipe words = CASTORE_TRY(make_pipe());

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, words.write_end.get(), STDERR_FILENO);
  // Also when the numbers are equal: the copy stays open across exec.
  if (socket >= 0) ::posix_spawn_file_actions_adddup2(&actions, socket, kSocketNumber);

  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string variable = kSocketVariable;
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with("_FUSE_COMMFD=")) environment.push_back(*entry);
  environment.push_back(variable.data());
  environment.push_back(nullptr);

  pid_t child = -1;
  int status = ::posix_spawnp(&child, kProgram, &actions, nullptr, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (status == ENOENT)
    return fail(ErrorKind::kUnsupported,
                "{} is not installed; without root it is needed (Debian package fuse3)", kProgram);
  if (status != 0) return fail_errno(status, "starting {}", kProgram);

  words.write_end.reset();
  std::string text(kWordsBytesMax, '\0');
  auto length = read_some(words.read_end.get(),
                          {reinterpret_cast<std::byte*>(text.data()), text.size()}, kProgram);
  text.resize(length ? *length : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();

  int exit_status = 0;
  while (::waitpid(child, &exit_status, 0) < 0)
    if (errno != EINTR) return fail_errno(errno, "waiting for {}", kProgram);
  if (WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == 0) return {};
  if (text.empty()) text = fmt::format("{} failed with status {:#x}", kProgram, exit_status);
  bool busy = text.find(::strerror(EBUSY)) != std::string::npos;
  return fail(busy ? ErrorKind::kUnavailable : ErrorKind::kDenied, "{}", text);
}

Result<UniqueFd> receive_descriptor(int socket) {
  char byte = 0;
  iovec payload{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t n;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return fail_errno(errno, "receiving the descriptor from {}", kProgram);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int)))
    return fail(ErrorKind::kInternal, "{} mounted but sent no descriptor", kProgram);
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace

Result<UniqueFd> fusermount_mount(const std::string& mount_point, const std::string& options) {
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_errno(errno, "making a socket pair");
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  CASTORE_TRY(run({kProgram, "-o", options, "--", mount_point}, theirs.get()));
  theirs.reset();  // so that a program that sent nothing is seen as an end, not waited for
  return receive_descriptor(ours.get());
}

Result<void> fusermount_unmount(const std::string& mount_point, bool lazy) {
  std::vector<std::string> arguments{kProgram, "-u"};
  if (lazy) arguments.emplace_back("-z");
  arguments.emplace_back("--");
  arguments.push_back(mount_point);
  return run(std::move(arguments), -1);
}

std::string escape_option(const std::string& value) {
  std::string out;
  for (char c : value) {
    if (c == ',' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

}  // namespace castore::fuse_device
