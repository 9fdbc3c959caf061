// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>

#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/describe.h"
#include "transfer/resolve.h"
#include "transfer/verify.h"

namespace castore::cli {
namespace {

class Verify final : public Command {
 public:
  About about() const override {
    return {.name = "verify",
            .group = "Care",
            .summary = "Re-read and re-hash what is stored",
            .more = R"(
Without REF, the whole store. Prints a line for each object that is corrupt,
missing or misnamed, and then ends with exit code 3.
REF is a store path, its base name or a digest, and may go on: REF/SUB/PATH.)"};
  }

  void declare(OptionSet& options) override {
    options.arguments("REF", references_, 0, "What to verify, with all that is reachable from it");
    options.flag("--json", json_, "Print one JSON object a finding");
  }

  Result<ExitCode> run(Session& session) override {
    const auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kRead));
    bool sound = true;
    Result<void> printed;
    {
      transfer::Tally tally;
      Progress progress(session.progress(), "verifying", tally);
      transfer::OnFinding on_finding = [&](const transfer::Finding& finding) {
        if (!printed) return;
        printed = progress.aside([&] { return print(finding, session.output()); });
      };
      if (references_.empty())
        sound = CASTORE_TRY(transfer::verify_store(ctx, services, on_finding, tally));
      for (const std::string& reference : references_)
        sound = CASTORE_TRY(verify(ctx, services, reference, on_finding, tally)) && sound;
    }
    CASTORE_TRY(std::move(printed));
    return sound ? ExitCode::kOk : ExitCode::kDamage;
  }

 private:
  static Result<bool> verify(const Context& ctx, const store::Services& services,
                             const std::string& reference, const transfer::OnFinding& on_finding,
                             transfer::Tally& tally) {
    auto found = transfer::resolve(ctx, services, reference);
    if (!found && found.error().kind() == ErrorKind::kCorrupt) {
      on_finding({transfer::FindingKind::kCorrupt, reference, found.error().message()});
      return false;
    }
    if (!found)
      return std::unexpected(
          std::move(found).error().context(fmt::format("verifying {}", reference)));
    if (found->path_info && found->sub_path.empty())
      return transfer::verify_path(ctx, services, *found->path_info, on_finding, tally);
    return transfer::verify_tree(ctx, services, found->node, reference, on_finding, tally);
  }

  Result<void> print(const transfer::Finding& finding, Output& output) const {
    if (json_) {
      JsonObject object;
      object.put("finding", to_string(finding.kind))
          .put_bytes("object", finding.object)
          .put_bytes("detail", finding.detail);
      CASTORE_TRY(output.line(object.text()));
    } else {
      CASTORE_TRY(
          output.line(fmt::format("{:<8}  {}: {}", to_string(finding.kind),
                                  output.name(finding.object), output.name(finding.detail))));
    }
    return output.flush();
  }

  std::vector<std::string> references_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> verify_command() {
  return std::make_unique<Verify>();
}

}  // namespace castore::cli
