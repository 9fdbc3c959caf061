// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/guest_server.h"
#include "cli/listening_socket.h"
#include "cli/notify.h"
#include "cli/shown_tree.h"
#include "sandbox/call_filter.h"
#include "sandbox/confined_process.h"

namespace castore::cli {
namespace {

constexpr uint32_t kReadTimeoutMax_s = 24 * 60 * 60;
constexpr uint32_t kDescriptorMax = 1 << 20;

enum class SandboxWord { kNamespace, kChroot, kNone };

class Virtiofs final : public Command {
 public:
  About about() const override {
    return {.name = "virtiofs",
            .group = "Mounting",
            .summary = "Show the store to virtual machines as a read-only file system",
            .more = R"(
Listens at each SOCKET for a virtual machine monitor (QEMU, cloud-hypervisor) that
connects a vhost-user-fs device to it. One machine a socket; all of them are served
by this one process, out of one store. Stays until the machines have gone, with
--persistent until it is stopped by SIGTERM or SIGINT.

Examples:
  castore virtiofs --list-root /run/castore/vm1.sock
  castore virtiofs --root blake3-... --persistent vm1.sock vm2.sock

In the guest: mount -t virtiofs TAG /mnt. The lines for QEMU are in
docs/virtual-machines.md.)"};
  }

  void declare(OptionSet& options) override {
    options.arguments("SOCKET", paths_, 0,
                      "Where a machine connects; made, and removed at the end");
    shown_.declare(options);
    options.value("--queues", "N", queues_, 1, virtiofs::kRequestQueuesMax,
                  "Request queues that a guest may use at the same time, each with a thread "
                  "[default: one a processor]");
    options.value("--tag", "TAG", tag_,
                  "The name by which a guest mounts it, for monitors that ask (most are told)");
    options.value("--read-timeout", "SECONDS", read_timeout_s_, 1, kReadTimeoutMax_s,
                  "How long a request waits for a slow store before it fails [default: 60]");
    options.values("--socket,--socket-path", "PATH", paths_,
                   "As SOCKET; may be given several times");
    options.value("--fd", "N", descriptor_, 0, kDescriptorMax,
                  "A socket that listens already: this descriptor of the process");
    options.value("--socket-group", "GROUP", group_, "Let members of this group connect too");
    options.flag("--persistent", persistent_,
                 "Wait for the next connection when a machine has gone");
    options.choice<SandboxWord>("--sandbox", sandbox_,
                                {{"namespace", SandboxWord::kNamespace},
                                 {"chroot", SandboxWord::kChroot},
                                 {"none", SandboxWord::kNone}},
                                "What keeps a guest that takes over this process from the rest of "
                                "the machine: namespaces [default], or only another root (needs to "
                                "be root); both with a filter for system calls. none: nothing");
    options.flag("--print-capabilities", print_capabilities_,
                 "Say, as vhost-user programs do, what this one can, and end");
  }

  Result<void> check(const Session&) const override {
    if (tag_ && tag_->size() > virtiofs::kTagBytesMax)
      return fail(ErrorKind::kInvalidArgument, "the tag {} is longer than {} bytes", *tag_,
                  virtiofs::kTagBytesMax);
    return {};
  }

  Result<ExitCode> run(Session& session) override {
    if (print_capabilities_) {
      CASTORE_TRY(session.output().line("{\"type\": \"fs\"}"));
      return ExitCode::kOk;
    }
    // A monitor or a log reader may go; the others stay.
    (void)::signal(SIGPIPE, SIG_IGN);
    // Time zones are in a file that is not seen later.
    ::tzset();
    ServiceManager manager = CASTORE_TRY(ServiceManager::find());
    std::vector<ListeningSocket> sockets = CASTORE_TRY(make_sockets());
    if (sandbox_ == SandboxWord::kNone) {
      spdlog::warn(
          "without a sandbox: a guest that takes over this process can do all that its user can");
      CASTORE_TRY(serve(session, session.addresses(), sockets, manager));
      return ExitCode::kOk;
    }
    sandbox::Confinement confinement = confinement_for(session, sockets, manager);
    const config::ServiceAddresses inside = confinement.mode == sandbox::Mode::kChroot
                                                ? config::with_folder_at(session.addresses(), "/")
                                                : session.addresses();
    auto served = sandbox::run_confined(confinement,
                                        [&] { return serve(session, inside, sockets, manager); });
    if (!served && served.error().kind() == ErrorKind::kDenied)
      return std::unexpected(
          std::move(served).error().context("--sandbox none does without, and protects nothing"));
    CASTORE_TRY(std::move(served));
    return ExitCode::kOk;
  }

 private:
  Result<std::vector<ListeningSocket>> make_sockets() const;
  sandbox::Confinement confinement_for(const Session& session,
                                       const std::vector<ListeningSocket>& sockets,
                                       const ServiceManager& manager) const;
  Result<void> serve(Session& session, const config::ServiceAddresses& addresses,
                     const std::vector<ListeningSocket>& sockets,
                     const ServiceManager& manager) const;
  virtiofs::DeviceOptions device_options() const;

  std::vector<std::string> paths_;
  ShownTree::Options shown_;
  std::optional<uint32_t> queues_;
  std::optional<std::string> tag_;
  std::optional<uint32_t> read_timeout_s_;
  std::optional<uint32_t> descriptor_;
  std::optional<std::string> group_;
  bool persistent_ = false;
  SandboxWord sandbox_ = SandboxWord::kNamespace;
  bool print_capabilities_ = false;
};

Result<std::vector<ListeningSocket>> Virtiofs::make_sockets() const {
  std::vector<ListeningSocket> sockets = CASTORE_TRY(ListeningSocket::from_service_manager());
  if (descriptor_)
    sockets.push_back(CASTORE_TRY(ListeningSocket::inherited(static_cast<int>(*descriptor_))));
  std::optional<gid_t> group;
  if (group_) group = CASTORE_TRY(group_of(*group_));
  for (const std::string& path : paths_)
    sockets.push_back(CASTORE_TRY(ListeningSocket::make(path, group)));
  if (sockets.empty())
    return fail(ErrorKind::kInvalidArgument,
                "where do machines connect? Name a SOCKET (see `castore virtiofs --help`)");
  return sockets;
}

sandbox::Confinement Virtiofs::confinement_for(const Session& session,
                                               const std::vector<ListeningSocket>& sockets,
                                               const ServiceManager& manager) const {
  sandbox::Confinement confinement;
  if (sandbox_ == SandboxWord::kChroot) confinement.mode = sandbox::Mode::kChroot;
  config::LocalPlaces places = config::local_places(session.addresses());
  confinement.places = {.folders = std::move(places.folders),
                        .written_files = std::move(places.written_files)};
  for (const ListeningSocket& socket : sockets)
    confinement.kept_descriptors.push_back(socket.descriptor());
  confinement.kept_descriptors.push_back(manager.descriptor());
  return confinement;
}

virtiofs::DeviceOptions Virtiofs::device_options() const {
  virtiofs::DeviceOptions options;
  options.tag = tag_.value_or("");
  const uint32_t processors =
      std::clamp(std::thread::hardware_concurrency(), 1u, uint32_t{virtiofs::kRequestQueuesMax});
  options.request_queues = static_cast<uint16_t>(queues_.value_or(processors));
  if (read_timeout_s_) options.read_timeout = std::chrono::seconds(*read_timeout_s_);
  return options;
}

// From opening the store to the end. In the sandbox, where there is one; its last part, the filter
// for system calls, comes when all is open.
Result<void> Virtiofs::serve(Session& session, const config::ServiceAddresses& addresses,
                             const std::vector<ListeningSocket>& sockets,
                             const ServiceManager& manager) const {
  Context ctx = CASTORE_TRY(session.stoppable_context(std::nullopt));
  store::Services services = CASTORE_TRY(config::open_services(addresses, config::Access::kRead));
  ShownTree shown = CASTORE_TRY(ShownTree::open(ctx, services, session.addresses().store_folder,
                                                shown_, ShownTree::Kernels::kSeveral, "showing"));
  GuestServer::Options options{.device = device_options(), .persistent = persistent_};
  GuestServer server = CASTORE_TRY(
      GuestServer::prepare(sockets, [&shown] { return shown.make_filesystem(); }, options));
  if (sandbox_ != SandboxWord::kNone) CASTORE_TRY(sandbox::forbid_unneeded_calls());

  for (const ListeningSocket& socket : sockets)
    spdlog::info("{}: showing {} to a virtual machine, {} request queues", socket.name(),
                 shown.source(), options.device.request_queues);
  CASTORE_TRY(manager.tell("READY=1\nSTATUS=Serving " + shown.source()));
  std::stop_callback on_stop(ctx.stop, [&] { (void)manager.tell("STOPPING=1\nSTATUS=Stopping"); });
  return server.run(ctx.stop);
}

}  // namespace

std::unique_ptr<Command> virtiofs_command() {
  return std::make_unique<Virtiofs>();
}

}  // namespace castore::cli
