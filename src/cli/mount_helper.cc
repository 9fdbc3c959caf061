// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/mount_helper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/mount_call.h"
#include "fuse_device/mount.h"

namespace castore::cli {
namespace {

// mount(8) takes these bits from its helpers.
constexpr int kMountOk = 0;
constexpr int kMountUsage = 1;
constexpr int kMountSystem = 2;
constexpr int kMountInterrupted = 8;
constexpr int kMountFailure = 32;

int mount_exit_code(int castore_code) {
  if (castore_code == static_cast<int>(ExitCode::kOk)) return kMountOk;
  if (castore_code == static_cast<int>(ExitCode::kUsage)) return kMountUsage;
  if (castore_code > kExitBySignal) return kMountInterrupted;
  return kMountFailure;
}

void say(std::string_view message) {
  fmt::print(stderr, "mount.castore: {}\n", message);
}

// From here on every path means what it means there.
Result<void> enter(const std::string& mount_namespace) {
  UniqueFd file = CASTORE_TRY(open_file(mount_namespace, O_RDONLY));
  if (::setns(file.get(), CLONE_NEWNS) != 0)
    return fail_errno(errno, "entering the mount namespace {}", mount_namespace);
  return {};
}

// A mount without what was asked for is no mount.
Result<void> set_attributes(const MountCall& call) {
  mount_attr wanted = {};
  wanted.attr_set = call.attributes;
  if (::mount_setattr(AT_FDCWD, call.target.c_str(), 0, &wanted, sizeof wanted) == 0) return {};
  int reason = errno;
  if (auto undone = fuse_device::unmount(call.target, true); !undone) say(undone.error().message());
  return fail_errno(reason,
                    "mounting on {}: setting noexec or nosymfollow (as an ordinary user, ask for "
                    "`exec` and `symfollow`)",
                    call.target);
}

// Whether `castore mount` would take the command line; if not, it has said why.
bool is_understood(std::span<const char* const> command_line) {
  const std::unique_ptr<Command> commands[] = {mount_command()};
  return parse_command_line(static_cast<int>(command_line.size()), command_line.data(), commands)
      .has_value();
}

}  // namespace

bool is_mount_helper(std::string_view program) {
  std::string_view name = program.substr(program.rfind('/') + 1);
  return name == "mount.castore" || name == "mount.fuse.castore";
}

int run_mount_helper(std::span<const char* const> arguments, const RunCastore& run) {
  auto call = read_mount_call(arguments, long_options(*mount_command()));
  if (!call) {
    say(call.error().message());
    return kMountUsage;
  }
  for (const std::string& warning : call->warnings)
    say(fmt::format("{}: warning: {}", call->target, warning));
  if (call->verbose) say(fmt::format("{}", fmt::join(call->command_line, " ")));
  std::vector<const char*> command_line;
  for (const std::string& word : call->command_line) command_line.push_back(word.c_str());
  if (call->fake) return is_understood(command_line) ? kMountOk : kMountUsage;

  if (call->mount_namespace) {
    if (auto entered = enter(*call->mount_namespace); !entered) {
      say(entered.error().message());
      return kMountSystem;
    }
  }
  if (int code = mount_exit_code(run(command_line)); code != kMountOk) return code;
  if (call->attributes == 0) return kMountOk;
  if (auto set = set_attributes(*call); !set) {
    say(set.error().message());
    return kMountFailure;
  }
  return kMountOk;
}

}  // namespace castore::cli
