// SPDX-License-Identifier: MIT OR Apache-2.0
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/display.h"
#include "transfer/resolve.h"

namespace castore::cli {
namespace {

class Cat final : public Command {
 public:
  About about() const override {
    return {.name = "cat", .group = "Looking", .summary = "Print stored files", .more = R"(
REF is a store path, its base name or a digest, and may go on: REF/SUB/PATH.
The bytes are compared with their digest on the way; a mismatch is exit code 3.)"};
  }

  void declare(OptionSet& options) override {
    options.arguments("REF", references_, 1, "Files to print, one after the other");
  }

  Result<ExitCode> run(Session& session) override {
    const auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kRead));
    for (const std::string& reference : references_)
      CASTORE_TRY_WHILE(print(ctx, services, reference, session.output()), "reading {}", reference);
    return ExitCode::kOk;
  }

 private:
  static Result<void> print(const Context& ctx, const store::Services& services,
                            const std::string& reference, Output& output) {
    auto found = CASTORE_TRY(transfer::resolve(ctx, services, reference));
    if (const auto* link = std::get_if<SymlinkNode>(&found.node))
      return fail(ErrorKind::kInvalidArgument, "it is a symlink to {}",
                  display_text(link->target.text()));
    const auto* file = std::get_if<FileNode>(&found.node);
    if (file == nullptr) return fail(ErrorKind::kInvalidArgument, "it is a folder");
    bool there = CASTORE_TRY(
        store::stream_blob(ctx, *services.blobs, file->digest,
                           [&](ByteView bytes) -> Result<void> { return output.bytes(bytes); }));
    if (!there) return fail(ErrorKind::kCorrupt, "blob {} is missing from the store", file->digest);
    return {};
  }

  std::vector<std::string> references_;
};

}  // namespace

std::unique_ptr<Command> cat_command() {
  return std::make_unique<Cat>();
}

}  // namespace castore::cli
