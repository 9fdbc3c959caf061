// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>

#include <string>

#include "cli/ask_mount.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/mount_report.h"

namespace castore::cli {
namespace {

class Stats final : public Command {
 public:
  About about() const override {
    return {.name = "stats",
            .group = "Mounting",
            .summary = "Say how a mount does: what was asked of it, how long that took, memory",
            .more = R"(
SIGUSR1 to the server of the mount writes the same into its log.)"};
  }

  void declare(OptionSet& options) override {
    options.argument("MOUNTPOINT", mount_point_, "Where it is mounted");
    options.flag("--json", json_, "Print one JSON object");
  }

  bool uses_store() const override { return false; }

  Result<ExitCode> run(Session& session) override {
    MountAnswer answer = CASTORE_TRY(ask_mount(mount_point_));
    Output& output = session.output();
    if (json_) {
      // The two objects as one.
      std::string where = JsonObject()
                              .put_bytes("mountpoint", answer.mount_point)
                              .put_bytes("source", answer.source)
                              .text();
      where.back() = ',';
      CASTORE_TRY(output.line(where + answer.report.substr(1)));
      return ExitCode::kOk;
    }
    auto lines = CASTORE_TRY_WHILE(report_lines(answer.report), "asking {}", answer.mount_point);
    CASTORE_TRY(output.line(
        fmt::format("{} shows {}", output.name(answer.mount_point), output.name(answer.source))));
    for (const std::string& line : lines) CASTORE_TRY(output.line(line));
    return ExitCode::kOk;
  }

 private:
  std::string mount_point_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> stats_command() {
  return std::make_unique<Stats>();
}

}  // namespace castore::cli
