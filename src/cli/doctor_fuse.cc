// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/file.h"
#include "cli/ask_mount.h"
#include "cli/display.h"
#include "cli/doctor_checks.h"
#include "cli/fuse_probe.h"
#include "cli/mount_report.h"
#include "cli/mount_table.h"
#include "fuse/abi.h"
#include "fuse/negotiate.h"
#include "fuse_device/mount.h"
#include "fuse_device/mount_state.h"

// What doctor looks at around FUSE: device, protocol, fusermount3, mounts.
namespace castore::cli {
namespace {

constexpr size_t kSystemFileBytesMax = 4 << 20;

struct Feature {
  const char* name;
  uint64_t flag;
};
constexpr Feature kFeatures[] = {
    {"async-read", fuse::abi::kAsyncRead},
    {"readdirplus", fuse::abi::kDoReaddirplus},
    {"parallel-dirops", fuse::abi::kParallelDirops},
    {"cache-symlinks", fuse::abi::kCacheSymlinks},
    {"max-pages", fuse::abi::kMaxPages},
    {"no-opendir", fuse::abi::kNoOpendirSupport},
    {"passthrough", fuse::abi::kPassthrough},
    {"idmapped-mounts", fuse::abi::kAllowIdmap},
    {"io-uring", fuse::abi::kOverIoUring},
};

std::vector<std::string> names_of(uint64_t flags) {
  std::vector<std::string> names;
  for (const Feature& feature : kFeatures)
    if ((flags & feature.flag) != 0) names.emplace_back(feature.name);
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

Check check_device() {
  Check check{.topic = "fuse device"};
  struct utsname kernel;
  ::uname(&kernel);
  UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  int error = errno;
  check.facts.put("kernel", kernel.release).put("usable", static_cast<bool>(device));
  if (device) {
    check.found = fmt::format("/dev/fuse can be opened (Linux {})", kernel.release);
    struct stat status;
    constexpr mode_t kOthersReadAndWrite = S_IROTH | S_IWOTH;
    if (::fstat(device.get(), &status) == 0 &&
        (status.st_mode & kOthersReadAndWrite) != kOthersReadAndWrite) {
      check.state = CheckState::kNote;
      check.found += fmt::format(", but not by everybody (mode {:03o})", status.st_mode & 0777);
      check.advice = "so that ordinary users can mount too: chmod 666 /dev/fuse";
    }
    return check;
  }
  check.state = CheckState::kProblem;
  check.found = Error::from_errno(error, "opening /dev/fuse").message();
  check.advice = error == EACCES || error == EPERM
                     ? "nothing can be mounted: allow this user to read and write /dev/fuse"
                     : "nothing can be mounted: load the kernel module (modprobe fuse); in a "
                       "container, pass the device in (--device /dev/fuse)";
  return check;
}

Check check_protocol() {
  Check check{.topic = "fuse protocol"};
  auto offer = probe_fuse();
  if (!offer) {
    check.state = CheckState::kNote;
    check.found = fmt::format("unknown: {}", offer.error().message());
    check.advice = "ask as root to see what the kernel offers; mounts may work all the same";
    return check;
  }
  auto answer = fuse::negotiate(
      *offer,
      {.skip_opens = true, .skip_folder_opens = true, .passthrough = false, .io_uring = true});
  const auto* agreement = std::get_if<fuse::Agreement>(&answer);
  check.facts.put("major", uint64_t{offer->major}).put("minor", uint64_t{offer->minor});
  if (agreement == nullptr) {
    check.state = CheckState::kProblem;
    check.found = fmt::format("the kernel speaks {}.{}, which this castore does not", offer->major,
                              offer->minor);
    check.advice = fmt::format("nothing can be mounted: it takes {}.{} (Linux 5.4) or later",
                               fuse::abi::kMajor, fuse::abi::kMinorMin);
    return check;
  }
  std::vector<std::string> used = names_of(agreement->session.agreed);
  std::vector<std::string> unused = names_of(offer->flags & ~agreement->session.agreed);
  check.facts.put("used", used).put("offered_too", unused);
  check.found = fmt::format("{}.{}; a mount uses: {}; the kernel offers too: {}", offer->major,
                            offer->minor, joined(used), joined(unused));
  return check;
}

std::optional<std::string> find_program(const char* name) {
  const char* path = std::getenv("PATH");
  std::string_view folders = path != nullptr ? path : "/usr/bin:/bin";
  while (!folders.empty()) {
    size_t end = std::min(folders.find(':'), folders.size());
    std::string candidate = fmt::format("{}/{}", folders.substr(0, end), name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return std::nullopt;
}

Check check_fusermount() {
  Check check{.topic = "fusermount3"};
  std::optional<std::string> program = find_program("fusermount3");
  struct stat status;
  bool setuid = program && ::stat(program->c_str(), &status) == 0 &&
                (status.st_mode & S_ISUID) != 0 && status.st_uid == 0;
  check.facts.put("found", program.has_value()).put("setuid", setuid);
  if (program && setuid) {
    check.found = fmt::format("{} is setuid root", *program);
    return check;
  }
  // Root mounts without it.
  check.state = ::geteuid() == 0 ? CheckState::kNote : CheckState::kProblem;
  check.found = program ? fmt::format("{} is not setuid root", *program) : "not found in $PATH";
  check.advice = "ordinary users cannot mount: install fuse3 from the distribution";
  return check;
}

// Whether /etc/fuse.conf has the line that lets ordinary users say --allow-other.
Check check_allow_other() {
  Check check{.topic = "allow-other"};
  auto conf = read_whole_file("/etc/fuse.conf", kSystemFileBytesMax);
  bool allowed = conf && (conf->starts_with("user_allow_other\n") ||
                          conf->find("\nuser_allow_other\n") != std::string::npos);
  check.facts.put("user_allow_other", allowed);
  if (allowed || ::geteuid() == 0) {
    check.found = allowed ? "open to ordinary users" : "open to root";
    return check;
  }
  check.state = CheckState::kNote;
  check.found = "not open to ordinary users";
  check.advice = "for `mount --allow-other`, put the line user_allow_other into /etc/fuse.conf";
  return check;
}

// Whether the mount answers, how it works, and what keeps it from working better.
std::vector<Check> check_mount(const std::string& mount_point, const std::string& source) {
  Check check{.topic = "mount"};
  const std::string where = display_text(mount_point);
  const std::string what = display_text(source);
  check.facts.put_bytes("mountpoint", mount_point).put_bytes("source", source);
  const auto state = fuse_device::state_of_mount(mount_point);
  check.facts.put("answers", state == fuse_device::MountState::kAlive);
  switch (state) {
    case fuse_device::MountState::kDead:
      check.state = CheckState::kProblem;
      check.found = fmt::format("{} ({}) is dead: its server is gone", where, what);
      check.advice = fmt::format("castore umount {}", where);
      return {std::move(check)};
    case fuse_device::MountState::kSilent:
      check.state = CheckState::kProblem;
      check.found =
          fmt::format("{} ({}) does not answer: its server is stopped or hangs", where, what);
      check.advice = fmt::format("castore umount --lazy {}", where);
      return {std::move(check)};
    case fuse_device::MountState::kAlive:
      break;
  }
  check.found = fmt::format("{} shows {}", where, what);
  auto answer = ask_mount(mount_point);
  auto summary = answer ? summary_of(answer->report) : std::unexpected(answer.error());
  if (!summary) {
    // Another user's mount is closed to us; it lives all the same.
    check.found += fmt::format("; how it works is not known: {}", summary.error().message());
    return {std::move(check)};
  }
  check.found += fmt::format("; io {}, transport {}", summary->read_path, summary->transport);
  check.facts.put("read_path", summary->read_path).put("transport", summary->transport);
  std::vector<Check> checks = {std::move(check)};
  for (fuse_device::Note& note : summary->notes)
    checks.push_back({.state = CheckState::kNote,
                      .topic = "mount",
                      .found = fmt::format("{}: {}", where, note.found),
                      .advice = std::move(note.advice),
                      .facts = JsonObject().put_bytes("mountpoint", mount_point)});
  return checks;
}

}  // namespace

std::vector<Check> check_fuse() {
  std::vector<Check> checks = {check_device()};
  if (checks.back().state != CheckState::kProblem) checks.push_back(check_protocol());
  checks.push_back(check_fusermount());
  checks.push_back(check_allow_other());
  return checks;
}

std::vector<Check> check_mounts() {
  auto mountinfo = read_whole_file("/proc/self/mountinfo", kSystemFileBytesMax);
  if (!mountinfo)
    return {{.state = CheckState::kNote,
             .topic = "mount",
             .found = mountinfo.error().message(),
             .advice = "",
             .facts = {}}};
  std::vector<Check> checks;
  // Why each is not better is for who asks about it. What is dead or silent is for everybody.
  for (const CastoreMount& mount : castore_mounts(*mountinfo))
    checks.push_back(check_mount(mount.mountpoint, mount.source).front());
  return checks;
}

std::vector<Check> check_mount_at(const std::string& path) {
  auto mount = fuse_device::castore_mount_at(path);
  if (mount) return check_mount(mount->mount_point, mount->source);
  return {{.state = CheckState::kProblem,
           .topic = "mount",
           .found = mount.error().message(),
           .advice = "`castore doctor` without a folder names the castore mounts that there are",
           .facts = JsonObject().put_bytes("mountpoint", path)}};
}

}  // namespace castore::cli
