// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/describe.h"
#include "model/limits.h"
#include "transfer/resolve.h"

namespace castore::cli {
namespace {

class Ls final : public Command {
 public:
  About about() const override {
    return {.name = "ls", .group = "Looking", .summary = "List a stored folder", .more = R"(
REF is a store path, its base name or a digest, and may go on: REF/SUB/PATH.

Examples:
  castore ls -l /nix/store/7md3dnsc538ipyd9gyk5v539yqrbs880-src/include
  castore ls -R --json blake3-...)"};
  }

  void declare(OptionSet& options) override {
    options.argument("REF", reference_, "What to list");
    options.flag("-l,--long", long_, "Mode, size and digest before each name");
    options.flag("-R,--recursive", recursive_, "Everything below too, each with its path");
    options.flag("--json", json_, "Print one JSON object an entry");
  }

  Result<ExitCode> run(Session& session) override {
    const auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kRead));
    auto found =
        CASTORE_TRY_WHILE(transfer::resolve(ctx, services, reference_), "listing {}", reference_);
    if (const auto* directory = std::get_if<DirectoryNode>(&found.node))
      CASTORE_TRY(list(ctx, services, directory->digest, session.output()));
    else
      CASTORE_TRY(print(reference_, found.node, session.output()));
    return ExitCode::kOk;
  }

 private:
  // A directory on the way down, and where its listing stands.
  struct Level {
    std::shared_ptr<const Directory> directory;
    size_t next = 0;
    size_t path_bytes = 0;  // of the path that leads to it
  };

  Result<void> list(const Context& ctx, const store::Services& services, const Digest& root,
                    Output& output) const {
    std::string path;
    std::vector<Level> levels;
    levels.push_back({CASTORE_TRY(get_directory(ctx, services, root, reference_))});
    while (!levels.empty()) {
      CASTORE_TRY(ctx.check());
      Level& level = levels.back();
      path.resize(level.path_bytes);
      if (level.next == level.directory->entry_count()) {
        levels.pop_back();
        continue;
      }
      DirectoryEntry entry = level.directory->entry(level.next++);
      path += entry.name;
      CASTORE_TRY(print(path, entry.to_node(), output));
      if (!recursive_ || entry.kind != NodeKind::kDirectory) continue;
      if (levels.size() == kTreeDepthMax)
        return fail(ErrorKind::kExhausted, "{}: more than {} levels deep", reference_,
                    kTreeDepthMax);
      auto below = CASTORE_TRY(get_directory(ctx, services, entry.digest, path));
      path += '/';
      levels.push_back({std::move(below), 0, path.size()});
    }
    return {};
  }

  Result<void> print(std::string_view path, const Node& node, Output& output) const {
    if (json_) {
      JsonObject object;
      object.put_bytes("name", path);
      put_node(object, node);
      return output.line(object.text());
    }
    if (!long_) return output.line(output.name(path));
    if (const auto* directory = std::get_if<DirectoryNode>(&node))
      return output.line(long_line(mode_text(NodeKind::kDirectory, false), directory->size,
                                   directory->digest.to_text(), output.name(path)));
    if (const auto* file = std::get_if<FileNode>(&node))
      return output.line(long_line(mode_text(NodeKind::kFile, file->executable), file->size,
                                   file->digest.to_text(), output.name(path)));
    const std::string& target = std::get<SymlinkNode>(node).target.text();
    return output.line(long_line(mode_text(NodeKind::kSymlink, false), target.size(), "-",
                                 output.name(path) + " -> " + output.name(target)));
  }

  static std::string long_line(std::string_view mode, uint64_t size, std::string_view digest,
                               std::string_view rest) {
    return fmt::format("{} {:>12} {:<{}} {}", mode, size, digest, Digest::kTextBytes, rest);
  }

  std::string reference_;
  bool long_ = false;
  bool recursive_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> ls_command() {
  return std::make_unique<Ls>();
}

}  // namespace castore::cli
