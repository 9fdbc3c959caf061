// SPDX-License-Identifier: MIT OR Apache-2.0
#include <spdlog/spdlog.h>

#include <optional>
#include <string>

#include "cli/commands.h"
#include "cli/describe.h"
#include "transfer/export.h"
#include "transfer/resolve.h"

namespace castore::cli {
namespace {

class Export final : public Command {
 public:
  About about() const override {
    return {.name = "export",
            .group = "Looking",
            .summary = "Write a stored tree back to disk",
            .more = R"(
REF is a store path, its base name or a digest, and may go on: REF/SUB/PATH.
DEST must not exist; it gets its name when it is complete. Content is verified on
the way.

Example:
  castore export /nix/store/7md3dnsc538ipyd9gyk5v539yqrbs880-src ./src-again)"};
  }

  void declare(OptionSet& options) override {
    options.argument("REF", reference_, "What to write");
    options.argument("DEST", destination_, "Where to");
  }

  Result<void> check(const Session&) const override {
    if (destination_.empty()) return fail(ErrorKind::kInvalidArgument, "DEST is empty");
    return {};
  }

  Result<ExitCode> run(Session& session) override {
    const auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kRead));
    auto found =
        CASTORE_TRY_WHILE(transfer::resolve(ctx, services, reference_), "exporting {}", reference_);
    std::optional<uint64_t> entries_in_all = CASTORE_TRY(count_entries(ctx, services, found.node));
    for (const std::string& path : transfer::find_partial_exports(destination_))
      spdlog::warn("{} is of another export, which was killed or still runs; if killed, remove it",
                   path);
    transfer::Tally tally;
    Progress progress(session.progress(), "exporting", [&] {
      ProgressCounts counts;
      counts += tally;
      uint64_t entries = tally.files + tally.directories + tally.symlinks;
      if (entries_in_all)
        counts.done = static_cast<double>(entries) / static_cast<double>(*entries_in_all);
      return counts;
    });
    CASTORE_TRY_WHILE(transfer::export_tree(ctx, services, found.node, destination_, tally),
                      "exporting {}", reference_);
    return ExitCode::kOk;
  }

 private:
  // The root and everything below, where the recorded size says it: sizes of the doubled convention
  // do not.
  Result<std::optional<uint64_t>> count_entries(const Context& ctx, const store::Services& services,
                                                const Node& root) const {
    const auto* node = std::get_if<DirectoryNode>(&root);
    if (node == nullptr) return 1;
    auto directory = CASTORE_TRY(get_directory(ctx, services, node->digest, reference_));
    if (directory->size(SizeConvention::kDocumented) != node->size) return std::nullopt;
    return node->size + 1;
  }

  std::string reference_;
  std::string destination_;
};

}  // namespace

std::unique_ptr<Command> export_command() {
  return std::make_unique<Export>();
}

}  // namespace castore::cli
