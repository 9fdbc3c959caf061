// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>

#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/describe.h"
#include "digest/sha256.h"
#include "transfer/resolve.h"

namespace castore::cli {
namespace {

std::vector<std::string> absolute_paths(const std::vector<nix::StorePath>& paths) {
  std::vector<std::string> texts;
  for (const nix::StorePath& path : paths) texts.push_back(path.absolute());
  return texts;
}

class Stat final : public Command {
 public:
  About about() const override {
    return {.name = "stat",
            .group = "Looking",
            .summary = "Say what the store knows about a path or digest",
            .more = R"(
REF is a store path, its base name or a digest, and may go on: REF/SUB/PATH.
A folder's size is the number of entries below it, a file's its bytes.)"};
  }

  void declare(OptionSet& options) override {
    options.arguments("REF", references_, 1, "What to describe");
    options.flag("--json", json_, "Print one JSON object a REF");
  }

  Result<ExitCode> run(Session& session) override {
    const auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kRead));
    bool first = true;
    for (const std::string& reference : references_) {
      auto found =
          CASTORE_TRY_WHILE(transfer::resolve(ctx, services, reference), "reading {}", reference);
      std::optional<uint64_t> entries;
      if (const auto* node = std::get_if<DirectoryNode>(&found.node))
        entries = CASTORE_TRY(get_directory(ctx, services, node->digest, reference))->entry_count();
      if (!json_ && !first) CASTORE_TRY(session.output().line(""));
      first = false;
      CASTORE_TRY(json_ ? print_json(found, entries, session.output())
                        : print_text(found, entries, session.output()));
    }
    return ExitCode::kOk;
  }

 private:
  // What is registered says nothing about what lies below it.
  static const nix::PathInfo* info_of(const transfer::Resolved& found) {
    return found.path_info && found.sub_path.empty() ? &*found.path_info : nullptr;
  }

  static Result<void> print_json(const transfer::Resolved& found, std::optional<uint64_t> entries,
                                 Output& output) {
    JsonObject object;
    const nix::PathInfo* info = info_of(found);
    if (info != nullptr) {
      put_path_info(object, *info);
      object.put("references", absolute_paths(info->references));
      if (info->deriver) object.put("deriver", info->deriver->absolute() + ".drv");
      std::vector<std::string> signers;
      for (const nix::Signature& signature : info->signatures) signers.push_back(signature.name);
      object.put("signers", signers);
    } else {
      if (found.path_info) object.put("path", found.path_info->store_path.absolute());
      if (!found.sub_path.empty()) object.put_bytes("sub_path", found.sub_path);
      put_node(object, found.node);
    }
    if (entries) object.put("entries", *entries);
    return output.line(object.text());
  }

  static Result<void> print_text(const transfer::Resolved& found, std::optional<uint64_t> entries,
                                 Output& output) {
    auto row = [&](std::string_view key, std::string_view value) {
      return output.line(fmt::format("{:<12}{}", key, value));
    };
    if (found.path_info) CASTORE_TRY(row("path", found.path_info->store_path.absolute()));
    if (!found.sub_path.empty()) CASTORE_TRY(row("sub-path", output.name(found.sub_path)));
    CASTORE_TRY(row("kind", to_string(kind_of(found.node))));
    if (const auto* directory = std::get_if<DirectoryNode>(&found.node)) {
      CASTORE_TRY(row("digest", directory->digest.to_text()));
      CASTORE_TRY(row("size", fmt::to_string(directory->size)));
    } else if (const auto* file = std::get_if<FileNode>(&found.node)) {
      CASTORE_TRY(row("digest", file->digest.to_text()));
      CASTORE_TRY(row("size", fmt::to_string(file->size)));
      CASTORE_TRY(row("executable", file->executable ? "yes" : "no"));
    } else {
      CASTORE_TRY(row("target", output.name(std::get<SymlinkNode>(found.node).target.text())));
    }
    if (entries) CASTORE_TRY(row("entries", fmt::to_string(*entries)));
    const nix::PathInfo* info = info_of(found);
    if (info == nullptr) return {};
    CASTORE_TRY(row("nar-sha256", to_sri(info->nar_sha256)));
    CASTORE_TRY(row("nar-size", fmt::to_string(info->nar_size)));
    for (const std::string& reference : absolute_paths(info->references))
      CASTORE_TRY(row("reference", reference));
    if (info->deriver) CASTORE_TRY(row("deriver", info->deriver->absolute() + ".drv"));
    for (const nix::Signature& signature : info->signatures)
      CASTORE_TRY(row("signer", output.name(signature.name)));
    return {};
  }

  std::vector<std::string> references_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> stat_command() {
  return std::make_unique<Stat>();
}

}  // namespace castore::cli
