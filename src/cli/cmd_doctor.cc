// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>

#include <iterator>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/doctor_checks.h"

namespace castore::cli {
namespace {

class Doctor final : public Command {
 public:
  About about() const override {
    return {.name = "doctor",
            .group = "Care",
            .summary = "Say what this machine and store offer, and what to do about problems",
            .more = R"(
With a mount point only that mount: how it is served, why not better, and what
would change that.

Ends with exit code 3 when there is a problem; notes are none.)"};
  }

  void declare(OptionSet& options) override {
    options.arguments("MOUNTPOINT", mount_points_, 0, "Say how these mounts work instead");
    options.flag("--json", json_, "Print one JSON object a check");
  }

  Result<ExitCode> run(Session& session) override {
    // In this order: what forks comes before the store is opened.
    std::vector<Check> checks;
    auto append = [&](std::vector<Check> more) {
      checks.insert(checks.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
    };
    for (const std::string& mount_point : mount_points_) append(check_mount_at(mount_point));
    if (mount_points_.empty()) {
      append(check_fuse());
      append(check_mounts());
      append(check_limits());
      append(check_store(session));
    }

    bool problem = false;
    for (const Check& check : checks) {
      problem = problem || check.state == CheckState::kProblem;
      CASTORE_TRY(print(check, session.output()));
    }
    return problem ? ExitCode::kDamage : ExitCode::kOk;
  }

 private:
  Result<void> print(const Check& check, Output& output) const {
    if (json_) {
      JsonObject object;
      object.put("state", to_string(check.state))
          .put("topic", check.topic)
          .put_bytes("found", check.found);
      if (!check.advice.empty()) object.put_bytes("advice", check.advice);
      object.put("facts", check.facts);
      return output.line(object.text());
    }
    CASTORE_TRY(output.line(fmt::format("{:<8} {}: {}", to_string(check.state), check.topic,
                                        output.name(check.found))));
    if (check.advice.empty()) return {};
    return output.line(fmt::format("{:<8} -> {}", "", output.name(check.advice)));
  }

  std::vector<std::string> mount_points_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> doctor_command() {
  return std::make_unique<Doctor>();
}

}  // namespace castore::cli
