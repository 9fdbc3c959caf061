// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "transfer/ingest.h"

namespace castore::cli {
namespace {

enum class ReadAs { kAuto, kTree, kArchive };

class Ingest final : public Command {
 public:
  About about() const override {
    return {.name = "ingest",
            .group = "Storing",
            .summary = "Store a tree or a tar archive, unnamed, and print its digest",
            .more = R"(
A folder is stored as a tree. Everything else, and '-' (standard input), is read
as a tar archive, plain or compressed; --as=tree stores a single file or symlink.
Printed is the root: its kind, digest and size.

Examples:
  castore ingest ./src
  curl -L https://example.org/hello.tar.gz | castore ingest -)"};
  }

  void declare(OptionSet& options) override {
    options.argument("PATH", path_, "What to store; '-' is an archive on standard input");
    options.choice(
        "--as", read_as_,
        {{"auto", ReadAs::kAuto}, {"tree", ReadAs::kTree}, {"archive", ReadAs::kArchive}},
        "How to read PATH");
    options.choice(
        "--tar-root", archive_root_,
        {{"single", transfer::ArchiveRoot::kSingle}, {"whole", transfer::ArchiveRoot::kWhole}},
        "The root of an archive: its single top-level folder (default), or a folder of all of it");
    options.flag("--json", json_, "Print one JSON object");
    options.choice(
        "--directory-size", ingest_options_.size_convention,
        {{"documented", SizeConvention::kDocumented}, {"doubled", SizeConvention::kDoubled}},
        "How directory sizes are counted; doubled for peers that insist on it");
  }

  Result<void> check(const Session& session) const override {
    return config::check_that_all_lasts(session.addresses(), false);
  }
  Result<ExitCode> run(Session& session) override;

 private:
  bool reads_archive() const;
  Result<transfer::Ingested> ingest(const Context& ctx, const store::Services& services,
                                    transfer::Tally& tally) const;

  std::string path_;
  ReadAs read_as_ = ReadAs::kAuto;
  transfer::ArchiveRoot archive_root_ = transfer::ArchiveRoot::kSingle;
  bool json_ = false;
  transfer::IngestOptions ingest_options_;
};

Result<ExitCode> Ingest::run(Session& session) {
  // Also so that a mistyped path does not make a store.
  if (struct stat status; path_ != "-" && ::lstat(path_.c_str(), &status) != 0)
    return fail_errno(errno, "ingesting {}", path_.empty() ? "''" : path_);
  const auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kWrite));
  transfer::Tally tally;
  transfer::Ingested ingested = CASTORE_TRY([&]() -> Result<transfer::Ingested> {
    Progress progress(session.progress(), "ingesting", tally);
    auto stored = ingest(ctx, services, tally);
    // What is corrupt here is the archive, and no reason to look after the store.
    if (!stored && stored.error().kind() == ErrorKind::kCorrupt)
      stored = fail(ErrorKind::kInvalidArgument, "{}", stored.error().message());
    if (stored) CASTORE_TRY_WHILE(services.sync(ctx), "ingesting {}", path_);
    return stored;
  }());

  if (!json_) {
    CASTORE_TRY(session.output().line(node_line(ingested.root, session.output())));
    return ExitCode::kOk;
  }
  JsonObject object;
  object.put_bytes("source", path_);
  put_node(object, ingested.root);
  put_tally(object, tally);
  CASTORE_TRY(session.output().line(object.text()));
  return ExitCode::kOk;
}

Result<transfer::Ingested> Ingest::ingest(const Context& ctx, const store::Services& services,
                                          transfer::Tally& tally) const {
  if (!reads_archive())
    return CASTORE_TRY_WHILE(transfer::ingest_path(ctx, services, path_, ingest_options_, tally),
                             "ingesting {}", path_);
  if (path_ == "-")
    return transfer::ingest_archive(ctx, services, STDIN_FILENO, "standard input", archive_root_,
                                    ingest_options_, tally);
  UniqueFd archive = CASTORE_TRY(open_file(path_, O_RDONLY));
  return transfer::ingest_archive(ctx, services, archive.get(), path_, archive_root_,
                                  ingest_options_, tally);
}

// A symlink that leads to a folder, or nowhere, is stored as what it is; one that leads to a file
// (as /dev/fd/N does) is followed to the archive.
bool Ingest::reads_archive() const {
  switch (read_as_) {
    case ReadAs::kTree:
      return false;
    case ReadAs::kArchive:
      return true;
    case ReadAs::kAuto: {
      struct stat status;
      return path_ == "-" || (::stat(path_.c_str(), &status) == 0 && !S_ISDIR(status.st_mode));
    }
  }
  return false;
}

}  // namespace

std::unique_ptr<Command> ingest_command() {
  return std::make_unique<Ingest>();
}

}  // namespace castore::cli
