// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>

#include <cstdio>
#include <set>
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
missing, misnamed or unreadable, and then ends with exit code 3.
REF is a store path, its base name or a digest, and may go on: REF/SUB/PATH.
With --repair the store then forgets what is damaged, so that importing the
same sources again stores it anew.)"};
  }

  void declare(OptionSet& options) override {
    options.arguments("REF", references_, 0, "What to verify, with all that is reachable from it");
    options.flag("--json", json_, "Print one JSON object a finding");
    options.flag("--repair", repair_, "Make the store forget what is damaged");
  }

  Result<void> check(const Session&) const override {
    if (repair_ && !references_.empty())
      return fail(ErrorKind::kInvalidArgument, "--repair is for a whole store, without REF");
    return {};
  }

  Result<ExitCode> run(Session& session) override {
    // Before the store is opened: a damaged database may crash what trusts it.
    bool sound = CASTORE_TRY(inspect(session));
    const auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kRead));
    if (repair_ && !services.upkeep)
      return fail(ErrorKind::kInvalidArgument, "--repair is for a store folder (--store)");
    std::vector<store::ObjectName> damaged;
    Result<void> printed;
    {
      transfer::Tally tally;
      Progress progress(session.progress(), "verifying", tally);
      transfer::OnFinding on_finding = [&](const transfer::Finding& finding) {
        if (finding.forgettable) damaged.push_back(*finding.forgettable);
        if (!printed || inspected_.contains(finding.object)) return;
        printed = progress.aside([&] { return print(finding, session.output()); });
      };
      if (references_.empty())
        sound = CASTORE_TRY(transfer::verify_store(ctx, services, on_finding, tally)) && sound;
      for (const std::string& reference : references_)
        sound = CASTORE_TRY(verify(ctx, services, reference, on_finding, tally)) && sound;
    }
    CASTORE_TRY(std::move(printed));
    if (!sound) CASTORE_TRY(mend(ctx, services, damaged));
    return sound ? ExitCode::kOk : ExitCode::kDamage;
  }

 private:
  // Beneath the objects, and before anything trusts what is there. Whether all is well.
  Result<bool> inspect(Session& session) {
    Result<void> printed;
    auto on_fault = [&](const backends::StoreFault& fault) {
      inspected_.insert(fault.object);
      if (printed)
        printed =
            print({transfer::FindingKind::kCorrupt, fault.object, fault.detail}, session.output());
    };
    auto condition = CASTORE_TRY(config::inspect_stores(session.addresses(), on_fault));
    CASTORE_TRY(std::move(printed));
    if (condition == backends::StoreCondition::kUnreadable)
      return fail(
          ErrorKind::kCorrupt,
          "the database is damaged and nothing else was looked at; put a copy of it back, or "
          "move the whole store away and import again");
    return condition == backends::StoreCondition::kSound;
  }

  // Has the store repaired if that is wanted, and says on standard error what is to be done.
  Result<void> mend(const Context& ctx, const store::Services& services,
                    const std::vector<store::ObjectName>& damaged) const {
    if (!repair_) {
      fmt::print(stderr,
                 "castore: `castore verify --repair` makes the store forget what is damaged; then "
                 "import the same sources again\n");
      return {};
    }
    const uint64_t forgotten =
        CASTORE_TRY_WHILE(services.upkeep->repair(ctx, damaged), "repairing the store");
    fmt::print(stderr,
               "castore: {} damaged objects are forgotten; import their sources again to have them "
               "back\n",
               forgotten);
    return {};
  }

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
  std::set<std::string> inspected_;  // objects reported by `inspect`
  bool json_ = false;
  bool repair_ = false;
};

}  // namespace

std::unique_ptr<Command> verify_command() {
  return std::make_unique<Verify>();
}

}  // namespace castore::cli
