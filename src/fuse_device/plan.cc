// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/plan.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "fuse/negotiate.h"

namespace castore::fuse_device {
namespace {

constexpr const char* kEnableUring = "/sys/module/fuse/parameters/enable_uring";
constexpr const char* kPagesLimit = "/proc/sys/fs/fuse/max_pages_limit";
constexpr size_t kSystemFileBytesMax = 4096;

bool has_capability(unsigned capability) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
  return (data[capability / 32].effective >> (capability % 32) & 1) != 0;
}

// Capabilities of another user namespace than the first mean nothing to /dev/fuse.
bool in_first_user_namespace() {
  auto map = read_whole_file("/proc/self/uid_map", kSystemFileBytesMax);
  if (!map) return false;
  unsigned long long inside = 1;
  unsigned long long outside = 1;
  unsigned long long count = 0;
  return std::sscanf(map->c_str(), "%llu %llu %llu", &inside, &outside, &count) == 3 &&
         inside == 0 && outside == 0 && count == 4294967295ULL;
}

}  // namespace

std::string_view to_string(ReadPath path) {
  switch (path) {
    case ReadPath::kAuto:
      return "auto";
    case ReadPath::kCached:
      return "cached";
    case ReadPath::kPassthrough:
      return "passthrough";
  }
  return "?";
}

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::kAuto:
      return "auto";
    case Transport::kDevice:
      return "dev";
    case Transport::kIoUring:
      return "uring";
  }
  return "?";
}

std::string to_string(const Note& note) {
  return note.advice.empty() ? note.found : note.found + "; " + note.advice;
}

Circumstances look_around() {
  Circumstances circumstances;
  circumstances.privileged = has_capability(CAP_SYS_ADMIN) && in_first_user_namespace();
  if (auto enabled = read_whole_file(kEnableUring, kSystemFileBytesMax)) {
    circumstances.uring_known = true;
    circumstances.uring_enabled = enabled->starts_with('Y') || enabled->starts_with('1');
  }
  if (auto limit = read_whole_file(kPagesLimit, kSystemFileBytesMax))
    circumstances.pages_limit = static_cast<uint32_t>(std::strtoul(limit->c_str(), nullptr, 10));
  return circumstances;
}

Plan make_plan(ReadPath read_path, Transport transport, const Circumstances& circumstances) {
  Plan plan;
  bool wants_passthrough = read_path == ReadPath::kPassthrough ||
                           (read_path == ReadPath::kAuto && circumstances.few_large_files);
  if (wants_passthrough && !circumstances.privileged) {
    plan.notes.push_back(
        {"no passthrough: the kernel takes files only from a process with CAP_SYS_ADMIN",
         "mount as root for it"});
  } else if (wants_passthrough) {
    plan.read_path = ReadPath::kPassthrough;
  } else if (read_path == ReadPath::kAuto) {
    plan.notes.push_back({"no passthrough: what is mounted is not mainly large files",
                          "--io=passthrough asks for it all the same"});
  }

  bool wants_uring = transport != Transport::kDevice;
  if (wants_uring && circumstances.store_may_be_slow) {
    plan.notes.push_back(
        {"no io_uring: the store may be slow, and requests that wait for it would fill the ring"});
  } else if (wants_uring && !circumstances.uring_known) {
    plan.notes.push_back({"no io_uring: this kernel does not offer it (Linux 6.14 is the first)"});
  } else if (wants_uring && !circumstances.uring_enabled) {
    plan.notes.push_back(
        {"no io_uring: it is switched off in the kernel",
         "as root, `echo Y > /sys/module/fuse/parameters/enable_uring` and mount again"});
  } else if (wants_uring) {
    plan.transport = Transport::kIoUring;
  }

  if (circumstances.pages_limit > 0 && circumstances.pages_limit < fuse::kPagesMax)
    plan.notes.push_back(
        {fmt::format("small requests: the kernel allows {} pages in one, and {} would be used",
                     circumstances.pages_limit, fuse::kPagesMax),
         fmt::format("as root, `echo {} > {}` and mount again", fuse::kPagesMax, kPagesLimit)});
  return plan;
}

}  // namespace castore::fuse_device
