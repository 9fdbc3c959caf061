// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/ask_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/file.h"
#include "base/unique_fd.h"
#include "fuse/dispatcher.h"
#include "fuse_device/mount.h"
#include "fuse_device/mount_state.h"

namespace castore::cli {
namespace {

constexpr int kAnswersWithinMs = 5000;
// Names of 4 KiB at most, and the report.
constexpr size_t kAnswerBytesMax = 32 * 1024;

// The first byte of what the process that asks says: an answer, whose parts are parted by NULs, or
// an error's kind before its message.
constexpr char kIsAnswer = 'r';
constexpr char kFirstErrorKind = '0';

std::unexpected<Error> failed_to_ask(int error, const std::string& path) {
  if (fuse_device::is_dead_mount(error))
    return fail(ErrorKind::kUnavailable,
                "{} is dead: its server is gone; `castore umount {}` cleans it up", path, path);
  if (error == EACCES || error == EPERM)
    return fail(ErrorKind::kDenied, "{} is open only to the user who mounted it", path);
  if (error == ENOTTY || error == ENOSYS)
    return fail(ErrorKind::kUnsupported, "the server of {} is an older one and says nothing", path);
  return fail_errno(error, "asking {}", path);
}

Result<std::string> ask(const std::string& path) {
  fuse_device::MountLine line = CASTORE_TRY(fuse_device::castore_mount_at(path));
  UniqueFd folder(::open(line.mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return failed_to_ask(errno, line.mount_point);
  std::string report(fuse::kReportBytesMax, '\0');
  if (::ioctl(folder.get(), fuse::kReportControl, report.data()) != 0)
    return failed_to_ask(errno, line.mount_point);
  report.resize(std::min(report.find('\0'), report.size()));
  return line.mount_point + '\0' + line.source + '\0' + report;
}

[[noreturn]] void ask_in_child(const std::string& path, int answer_fd) {
  auto answer = ask(path);
  std::string word =
      answer ? kIsAnswer + *answer
             : static_cast<char>(kFirstErrorKind + static_cast<int>(answer.error().kind())) +
                   answer.error().message();
  (void)!::write(answer_fd, word.data(), std::min(word.size(), kAnswerBytesMax));
  ::_exit(0);
}

}  // namespace

Result<MountAnswer> ask_mount(const std::string& path) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "asking {}", path);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "asking {}", path);
  if (child == 0) ask_in_child(path, write_end.get());
  write_end.reset();

  struct pollfd polled = {read_end.get(), POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&polled, 1, kAnswersWithinMs);
  } while (ready < 0 && errno == EINTR);
  if (ready != 1) {
    // Not waited for: a request that the server has read and does not answer holds even a killed
    // process, which then ends after this one.
    (void)::kill(child, SIGKILL);
    (void)::waitpid(child, nullptr, WNOHANG);
    return fail(ErrorKind::kUnavailable,
                "{} does not answer: its server is stopped or hangs; SIGUSR1 to the server writes "
                "the same into its log, and `castore umount --lazy {}` takes the mount away",
                path, path);
  }
  std::string word(kAnswerBytesMax, '\0');
  word.resize(CASTORE_TRY(
      read_some(read_end.get(), {reinterpret_cast<std::byte*>(word.data()), word.size()}, path)));
  (void)::waitpid(child, nullptr, 0);
  if (word.empty())
    return fail(ErrorKind::kInternal, "asking {}: the process that asks died", path);
  std::string_view rest = std::string_view(word).substr(1);
  if (word.front() != kIsAnswer)
    return std::unexpected(
        Error(static_cast<ErrorKind>(word.front() - kFirstErrorKind), std::string(rest)));
  auto take = [&] {
    std::string part(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    return part;
  };
  MountAnswer answer;
  answer.mount_point = take();
  answer.source = take();
  answer.report = take();
  return answer;
}

}  // namespace castore::cli
