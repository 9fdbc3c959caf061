// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/import_name.h"
#include "nix/store_path.h"
#include "transfer/ingest.h"

namespace castore::cli {
namespace {

// Each path is read by several threads already; more at once pays for many small paths, whose
// imports mostly wait for the disk.
constexpr size_t kPathsAtOnce = 8;

class Import final : public Command {
 public:
  About about() const override {
    return {.name = "import",
            .group = "Storing",
            .summary = "Store files and folders and register them by name",
            .more = R"(
Each PATH (a folder, a file or a symlink) is stored and registered under its
content-addressed store path, which is printed as soon as it is durable.

Examples:
  castore import ./src
  castore import --name hello-1.0 ./out --json)"};
  }

  void declare(OptionSet& options) override {
    options.arguments("PATH", paths_, 1, "What to import");
    options.value("--name", "NAME", name_,
                  "The name in the store path, instead of the last part of PATH");
    options.flag("--json", json_, "Print one JSON object a path");
    options.choice(
        "--directory-size", ingest_options_.size_convention,
        {{"documented", SizeConvention::kDocumented}, {"doubled", SizeConvention::kDoubled}},
        "How directory sizes are counted; doubled for peers that insist on it");
  }

  Result<void> check(const Session& session) const override;
  Result<ExitCode> run(Session& session) override;

 private:
  struct Item {
    std::string path;
    std::string name;
    transfer::Tally tally;
  };

  Result<void> check_paths();
  Result<std::string> import_one(const Context& ctx, const store::Services& services, Item& item);

  std::vector<std::string> paths_;
  std::optional<std::string> name_;
  bool json_ = false;
  transfer::IngestOptions ingest_options_;

  std::deque<Item> items_;
};

Result<ExitCode> Import::run(Session& session) {
  CASTORE_TRY(check_paths());
  auto [ctx, services] = CASTORE_TRY(session.start(config::Access::kWrite));

  ingest_options_.budgets = std::make_shared<transfer::IngestBudgets>();

  // The first failure stops the others, as a signal does.
  std::stop_source stop;
  std::stop_callback pass_on(ctx.stop, [&stop] { stop.request_stop(); });
  ctx.stop = stop.get_token();
  Guarded<std::optional<Error>> first_error;

  {
    Progress progress(session.progress(), "importing", [this] {
      ProgressCounts counts;
      for (const Item& item : items_) counts += item.tally;
      return counts;
    });
    auto import_and_print = [&](Item& item) -> Result<void> {
      CASTORE_TRY(ctx.check());
      std::string line = CASTORE_TRY(import_one(ctx, services, item));
      return progress.aside([&]() -> Result<void> {
        CASTORE_TRY(session.output().line(line));
        return session.output().flush();
      });
    };
    ThreadPool pool("import", std::min(items_.size(), kPathsAtOnce), kPathsAtOnce);
    for (Item& item : items_)
      pool.submit([&] {
        Result<void> done = import_and_print(item);
        if (done) return;
        if (auto error = first_error.lock(); !error->has_value()) *error = std::move(done).error();
        stop.request_stop();
      });
  }
  if (auto error = first_error.lock(); error->has_value())
    return std::unexpected(std::move(**error));
  return ExitCode::kOk;
}

Result<void> Import::check(const Session& session) const {
  if (name_ && paths_.size() > 1)
    return fail(ErrorKind::kInvalidArgument, "--name goes with one PATH, not with {}",
                paths_.size());
  if (name_) CASTORE_TRY_WHILE(nix::check_store_path_name(*name_), "--name");
  return config::check_that_all_lasts(session.addresses(), true);
}

// Everything that can be known to fail before anything is stored.
Result<void> Import::check_paths() {
  for (const std::string& path : paths_) {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0)
      return fail_errno(errno, "importing {}", path.empty() ? "''" : path);
    std::string name = name_ ? *name_ : CASTORE_TRY_WHILE(import_name(path), "importing {}", path);
    Item& item = items_.emplace_back();
    item.path = path;
    item.name = std::move(name);
  }
  return {};
}

// Gives the line to print.
Result<std::string> Import::import_one(const Context& ctx, const store::Services& services,
                                       Item& item) {
  transfer::IngestOptions options = ingest_options_;
  options.compute_nar = true;
  transfer::Ingested ingested =
      CASTORE_TRY_WHILE(transfer::ingest_path(ctx, services, item.path, options, item.tally),
                        "importing {}", item.path);
  nix::PathInfo info = CASTORE_TRY_WHILE(
      transfer::register_path(ctx, services, item.name, ingested), "registering {}", item.path);
  if (!json_) return info.store_path.absolute();
  JsonObject object;
  object.put_bytes("source", item.path);
  put_path_info(object, info);
  put_tally(object, item.tally);
  return object.text();
}

}  // namespace

std::unique_ptr<Command> import_command() {
  return std::make_unique<Import>();
}

}  // namespace castore::cli
