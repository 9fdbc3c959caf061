// SPDX-License-Identifier: MIT OR Apache-2.0
#include <signal.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/signals_held_back.h"
#include "cli/background.h"
#include "cli/commands.h"
#include "cli/mount_report.h"
#include "cli/notify.h"
#include "cli/on_signal.h"
#include "cli/shown_tree.h"
#include "config/store_facts.h"
#include "fuse_device/server.h"

namespace castore::cli {
namespace {

using fuse_device::ReadPath;
using fuse_device::Transport;

constexpr uint32_t kThreadsMax = 256;
constexpr uint32_t kReadTimeoutMax_s = 24 * 60 * 60;

class Mount final : public Command {
 public:
  About about() const override {
    return {.name = "mount",
            .group = "Mounting",
            .summary = "Show the store as a read-only file system",
            .more = R"(
Without --root, the mount has every registered path under its base name, also
those registered later. Returns when the mount can be used, and leaves a server in
the background, which ends with the mount: castore umount, plain umount and
fusermount3 -u end it, and so do SIGINT, SIGTERM and SIGHUP to the server.

Examples:
  castore mount --list-root /mnt
  castore mount --root /nix/store/7md3dnsc538ipyd9gyk5v539yqrbs880-src ./src
  castore umount ./src)"};
  }

  void declare(OptionSet& options) override {
    options.argument("MOUNTPOINT", mount_point_, "An existing folder");
    shown_.declare(options);
    options.flag("--allow-other", allow_other_, "Let other users in too");
    options.value("--threads", "N", threads_, 1, kThreadsMax,
                  "Threads that serve [default: one a processor]");
    options.choice<ReadPath>("--io", io_,
                             {{"auto", ReadPath::kAuto},
                              {"cached", ReadPath::kCached},
                              {"passthrough", ReadPath::kPassthrough}},
                             "How content is read: the kernel caches files it opens by itself "
                             "(cached, for many small files), or reads large files of the local "
                             "store directly (passthrough, for few large ones; needs root)");
    options.choice<Transport>(
        "--transport", transport_,
        {{"auto", Transport::kAuto}, {"uring", Transport::kIoUring}, {"dev", Transport::kDevice}},
        "How requests travel: io_uring where the kernel allows it, or "
        "/dev/fuse");
    options.value("--read-timeout", "SECONDS", read_timeout_s_, 1, kReadTimeoutMax_s,
                  "How long a request waits for a slow store before it fails [default: 60]");
    options.flag("--foreground", foreground_, "Stay until the mount ends");
    options.value("--log-file", "FILE", log_file_,
                  "Log to this file [default: syslog, in the foreground standard error]");
  }

  Result<ExitCode> run(Session& session) override {
    if (log_file_) log_file_ = std::filesystem::absolute(*log_file_).string();
    if (foreground_) {
      // What reads our standard error may go; the mount stays.
      (void)::signal(SIGPIPE, SIG_IGN);
      CASTORE_TRY(serve(session, [this] {
        return notify_service_manager("READY=1\nSTATUS=Serving " + mount_point_);
      }));
    } else {
      CASTORE_TRY(run_in_background([&](const Ready& ready) {
        if (!log_file_) log_to_syslog("castore");
        return serve(session, ready);
      }));
    }
    return ExitCode::kOk;
  }

 private:
  Result<void> serve(Session& session, const Ready& ready) const;

  std::string mount_point_;
  ShownTree::Options shown_;
  bool allow_other_ = false;
  std::optional<uint32_t> threads_;
  ReadPath io_ = ReadPath::kAuto;
  Transport transport_ = Transport::kAuto;
  std::optional<uint32_t> read_timeout_s_;
  bool foreground_ = false;
  std::optional<std::string> log_file_;
};

// Says in the log how the mount does.
void log_report(const fuse_device::MountFacts& facts) {
  spdlog::info("how {} does:", facts.mount_point);
  auto lines = report_lines(mount_report(facts));
  if (!lines) return;
  for (const std::string& line : *lines) spdlog::info("{}", line);
}

// What statfs(2) says, counted by a thread of its own: it is to answer at once, and a mount is to
// be ready at once.
class CountedTotals {
 public:
  fuse::StoreTotals get() const { return {.files = files_, .bytes = bytes_}; }

  // Once.
  void count(const config::ServiceAddresses& addresses) {
    SignalsHeldBack held_back;
    thread_ = std::jthread([this, addresses](std::stop_token stop) {
      Context ctx;
      ctx.stop = std::move(stop);
      auto totals = config::blob_totals(ctx, addresses);
      if (!totals) {
        spdlog::debug("counting what is stored: {}", totals.error().message());
        return;
      }
      files_ = totals->files;
      bytes_ = totals->bytes;
    });
  }

 private:
  std::atomic<uint64_t> files_ = 0;
  std::atomic<uint64_t> bytes_ = 0;
  std::jthread thread_;
};

// One line with all there is to know, and one for each thing that might be better.
void log_facts(const fuse_device::MountFacts& facts) {
  spdlog::info("mounted on {}: {}, io {}, transport {}, {} threads, FUSE 7.{}, flags {:#x}",
               facts.mount_point, facts.source, to_string(facts.read_path),
               to_string(facts.transport), facts.threads, facts.session.minor,
               facts.session.agreed);
  for (const fuse_device::Note& note : facts.notes) spdlog::info("{}", to_string(note));
}

// From opening the store to the end of the mount.
Result<void> Mount::serve(Session& session, const Ready& ready) const {
  if (log_file_) CASTORE_TRY(log_to_file(*log_file_));
  hold_back_signal(SIGUSR1);
  Context ctx = CASTORE_TRY(session.stoppable_context(std::nullopt));
  store::Services services = CASTORE_TRY(session.open(config::Access::kRead));

  ShownTree shown = CASTORE_TRY(ShownTree::open(ctx, services, session.addresses().store_folder,
                                                shown_, ShownTree::Kernels::kOne, "mounting"));
  fuse_device::ServerOptions options;
  options.mount = {
      .mount_point = mount_point_, .source = shown.source(), .allow_other = allow_other_};
  options.thread_count = threads_.value_or(0);
  options.read_path = io_;
  options.transport = transport_;
  options.few_large_files = io_ == ReadPath::kAuto && shown.few_large_files(ctx);
  options.file_of_store = config::file_beside_blobs(session.addresses());
  options.report = mount_report;
  auto totals = std::make_shared<CountedTotals>();
  options.store_totals = [totals] { return totals->get(); };
  if (read_timeout_s_) options.read_timeout = std::chrono::seconds(*read_timeout_s_);
  auto server =
      CASTORE_TRY(fuse_device::FuseServer::start(shown.make_filesystem(), std::move(options)));

  std::stop_callback stop_server(ctx.stop, [&] {
    if (foreground_) (void)notify_service_manager("STOPPING=1\nSTATUS=Unmounting");
    server->request_stop();
  });
  if (Result<void> told = ready(); !told) {
    server->request_stop();
    (void)server->wait();
    return told;
  }
  log_facts(server->facts());
  totals->count(session.addresses());
  auto on_usr1 = CASTORE_TRY(OnSignal::watch(SIGUSR1, [&] { log_report(server->facts()); }));
  CASTORE_TRY(server->wait());
  spdlog::info("{} is unmounted", server->mount_point());
  return {};
}

}  // namespace

std::unique_ptr<Command> mount_command() {
  return std::make_unique<Mount>();
}

}  // namespace castore::cli
