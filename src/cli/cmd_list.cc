// SPDX-License-Identifier: MIT OR Apache-2.0
#include <spdlog/spdlog.h>

#include "cli/commands.h"
#include "cli/describe.h"

namespace castore::cli {
namespace {

class List final : public Command {
 public:
  About about() const override {
    return {.name = "list",
            .group = "Looking",
            .summary = "List the registered paths, one a line",
            .more = ""};
  }

  void declare(OptionSet& options) override {
    options.flag("--json", json_, "Print one JSON object a path");
  }

  Result<ExitCode> run(Session& session) override {
    const auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kRead));
    ExitCode code = ExitCode::kOk;
    CASTORE_TRY(services.path_infos->list(
        ctx, [&](const nix::StorePathDigest& digest, Result<nix::PathInfo> info) -> Result<void> {
          CASTORE_TRY(ctx.check());
          if (!info) {
            // One damaged record does not hide the others.
            spdlog::error("record {}: {}", digest.to_text(), info.error().message());
            code = ExitCode::kDamage;
            return {};
          }
          if (!json_) return session.output().line(info->store_path.absolute());
          JsonObject object;
          put_path_info(object, *info);
          return session.output().line(object.text());
        }));
    return code;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> list_command() {
  return std::make_unique<List>();
}

}  // namespace castore::cli
