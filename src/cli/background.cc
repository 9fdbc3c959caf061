// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/background.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "base/error_word.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "cli/exit_code.h"

namespace castore::cli {
namespace {

constexpr size_t kWordBytesMax = 64 * 1024;

// What the child says to the parent: this byte, or an error. The end of the pipe without a word
// means that the child died.
constexpr char kIsReady = 'r';

Result<void> listen(int word_fd, pid_t child) {
  std::string word(kWordBytesMax, '\0');
  size_t length = CASTORE_TRY(
      read_some(word_fd, {reinterpret_cast<std::byte*>(word.data()), word.size()}, "the pipe"));
  word.resize(length);
  if (word.starts_with(kIsReady)) return {};
  // It ends by itself after an error.
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (word.empty()) return fail(ErrorKind::kInternal, "the process in the background died");
  return std::unexpected(error_of_word(word));
}

Result<void> leave_terminal() {
  if (::chdir("/") != 0) return fail_errno(errno, "changing to the folder /");
  UniqueFd null = CASTORE_TRY(open_file("/dev/null", O_RDWR));
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::dup2(null.get(), fd) < 0) return fail_errno(errno, "letting go of the terminal");
  return {};
}

[[noreturn]] void run_child(UniqueFd word_end,
                            const std::function<Result<void>(const Ready& ready)>& serve) {
  (void)::setsid();
  // A parent that is gone shows as an error of `write`. The others are as a service expects them,
  // whatever the shell that started this one ignores.
  (void)::signal(SIGPIPE, SIG_IGN);
  for (int signal_number : {SIGINT, SIGTERM, SIGHUP}) (void)::signal(signal_number, SIG_DFL);

  Result<void> served = serve([&]() -> Result<void> {
    CASTORE_TRY(leave_terminal());
    if (::write(word_end.get(), &kIsReady, 1) != 1)
      return fail(ErrorKind::kCancelled, "nobody waits for the service any more");
    word_end.reset();
    return {};
  });
  if (served) {
    spdlog::default_logger()->flush();
    ::_exit(static_cast<int>(ExitCode::kOk));
  }
  if (word_end) {
    std::string word = word_of_error(served.error());
    (void)!::write(word_end.get(), word.data(), std::min(word.size(), kWordBytesMax));
  } else {
    spdlog::error("{}", served.error().message());
    spdlog::shutdown();
  }
  ::_exit(static_cast<int>(exit_code_of(served.error().kind())));
}

}  // namespace

Result<void> run_in_background(const std::function<Result<void>(const Ready& ready)>& serve) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "going to the background");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "going to the background");
  if (child == 0) {
    read_end.reset();
    run_child(std::move(write_end), serve);
  }
  write_end.reset();
  return listen(read_end.get(), child);
}

}  // namespace castore::cli
