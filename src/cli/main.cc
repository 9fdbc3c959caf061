// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "base/file.h"
#include "base/log.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/display.h"
#include "cli/mount_helper.h"
#include "cli/vhost_user_program.h"

namespace castore::cli {
namespace {

// Errors carry names from file systems and stores, which may hold anything.
void say(std::string_view message) {
  const std::string line = fmt::format(
      "castore: {}\n", ::isatty(STDERR_FILENO) == 1 ? display_text(message) : std::string(message));
  // There is nobody left to be told of a failure.
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

// A descriptor that was closed by who started us must not become a file of the store, which output
// would go to, nor a descriptor of ours, which input would come from. Reading gives the end,
// writing an error.
void take_standard_descriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one.
    (void)!::open("/dev/null", O_RDONLY);
  }
}

// Out of memory there is nothing to undo, on whichever thread: a store can be left at any moment.
void end_out_of_memory() {
  constexpr std::string_view kMessage = "castore: out of memory\n";
  (void)!::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  ::_exit(static_cast<int>(ExitCode::kFailure));
}

// Options and environment.
Result<void> check_usage(const Command& command, const Session& session) {
  CASTORE_TRY(set_up_logging(session.log_level()));
  if (command.uses_store()) CASTORE_TRY(config::check_addresses(session.addresses()));
  return command.check(session);
}

Result<ExitCode> run(Command& command, Session& session) {
  ExitCode code = CASTORE_TRY(command.run(session));
  CASTORE_TRY(session.output().flush());
  return code;
}

int run_program(std::span<const char* const> arguments) {
  const std::unique_ptr<Command> commands[] = {
      import_command(),   ingest_command(), list_command(),   ls_command(),     cat_command(),
      stat_command(),     export_command(), mount_command(),  umount_command(), stats_command(),
      virtiofs_command(), verify_command(), doctor_command(),
  };
  auto line = parse_command_line(static_cast<int>(arguments.size()), arguments.data(), commands);
  if (!line) return static_cast<int>(line.error());

  Session session(std::move(line->common));
  if (auto usable = check_usage(*line->command, session); !usable) {
    const std::string_view name = line->command->about().name;
    say(fmt::format("{} (see `castore {} --help`)", usable.error().message(), name));
    return static_cast<int>(ExitCode::kUsage);
  }
  Result<ExitCode> result = run(*line->command, session);
  if (result) return static_cast<int>(*result);
  // What was printed before the failure stands; its own failure to be written is the lesser news.
  (void)session.output().flush();
  say(result.error().message());
  if (session.caught_signal() != 0 && result.error().kind() == ErrorKind::kCancelled)
    return kExitBySignal + session.caught_signal();
  return static_cast<int>(exit_code_of(result.error().kind()));
}

}  // namespace
}  // namespace castore::cli

int main(int argc, char** argv) {
  std::set_new_handler(castore::cli::end_out_of_memory);
  castore::cli::take_standard_descriptors();
  castore::raise_descriptor_limit();
  // No library call is known to throw here; one that does ends in a line, not in an abort.
  try {
    std::span<const char* const> arguments(argv, static_cast<size_t>(argc));
    if (argc > 0 && castore::cli::is_mount_helper(argv[0]))
      return castore::cli::run_mount_helper(arguments, castore::cli::run_program);
    return castore::cli::run_program(castore::cli::with_command(arguments));
  } catch (const std::exception& error) {
    castore::cli::say(error.what());
    return static_cast<int>(castore::cli::ExitCode::kFailure);
  }
}
