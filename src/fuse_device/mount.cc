// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/mount.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/file.h"
#include "fuse/negotiate.h"
#include "fuse_device/fusermount.h"
#include "fuse_device/mount_state.h"
#include "fuse_device/mount_table.h"

namespace castore::fuse_device {
namespace {

// The absolute path without symlinks, or errno. Also where a dead mount stands at its end.
std::expected<std::string, int> resolve(const std::string& path) {
  std::unique_ptr<char, void (*)(void*)> whole(::realpath(path.c_str(), nullptr), std::free);
  if (whole) return std::string(whole.get());
  if (!is_dead_mount(errno)) return std::unexpected(errno);
  // Only the last part cannot be looked at.
  std::filesystem::path parts(path);
  if (!parts.has_filename()) parts = parts.parent_path();
  std::string folder = parts.parent_path().empty() ? "." : parts.parent_path().string();
  whole.reset(::realpath(folder.c_str(), nullptr));
  if (!whole) return std::unexpected(errno);
  return (std::filesystem::path(whole.get()) / parts.filename()).string();
}

Result<void> unmount_once(const std::string& path, bool lazy) {
  int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);
  if (::umount2(path.c_str(), flags) == 0) return {};
  if (errno == EPERM) return fusermount_unmount(path, lazy);
  return fail_errno(errno, "unmounting");
}

// Takes dead mounts of ours out of the way, also several, one above the other. An open file of such
// a mount is of no use to anybody, so nobody is asked. Gives the mount that is left.
Result<std::optional<MountLine>> clear_dead_mounts(const std::string& mount_point) {
  for (;;) {
    auto present = CASTORE_TRY(mount_at(mount_point));
    if (!present || present->type != kFilesystemType ||
        state_of_mount(mount_point) != MountState::kDead)
      return present;
    CASTORE_TRY_WHILE(unmount_once(mount_point, true), "clearing away a dead mount");
    spdlog::warn("{} had a mount whose server is gone ({}); it is unmounted", mount_point,
                 present->source);
  }
}

// The mount point as the mount table will name it, if it can be one.
Result<std::string> check_mount_point(const std::string& path) {
  auto resolved = resolve(path);
  if (!resolved) return fail_errno(resolved.error(), "looking at {}", path);
  auto present = CASTORE_TRY(clear_dead_mounts(*resolved));
  if (present && present->type == kFilesystemType)
    return fail(ErrorKind::kInvalidArgument,
                "{} shows a castore mount already ({}); `castore umount {}` ends it", *resolved,
                present->source, *resolved);
  struct stat status;
  if (::stat(resolved->c_str(), &status) != 0)
    return is_dead_mount(errno)
               ? fail(ErrorKind::kInvalidArgument,
                      "{} is a dead mount of another program; unmount it first", *resolved)
               : fail_errno(errno, "looking at {}", *resolved);
  if (!S_ISDIR(status.st_mode))
    return fail(ErrorKind::kInvalidArgument, "{} is not a folder", *resolved);
  return std::move(*resolved);
}

std::string common_options(const MountOptions& options) {
  std::string text = fmt::format("default_permissions,max_read={}", fuse::kReadBytesMax);
  if (options.allow_other) text += ",allow_other";
  return text;
}

// Nothing where this process lacks the privilege and fusermount3 may have it.
Result<std::optional<UniqueFd>> mount_directly(const MountOptions& options,
                                               const std::string& mount_point) {
  int fd = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    if (errno == EACCES || errno == EPERM) return std::nullopt;
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
      return fail(ErrorKind::kUnsupported,
                  "this machine has no /dev/fuse; as root, `modprobe fuse` may bring it");
    return fail_errno(errno, "opening /dev/fuse");
  }
  UniqueFd device(fd);
  // The folder's type is all that the kernel takes from the root mode.
  std::string data =
      fmt::format("fd={},rootmode={:o},user_id={},group_id={},{}", device.get(),
                  static_cast<unsigned>(S_IFDIR), ::getuid(), ::getgid(), common_options(options));
  if (::mount(options.source.c_str(), mount_point.c_str(), std::string(kFilesystemType).c_str(),
              MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOATIME, data.c_str()) != 0) {
    if (errno == EPERM || errno == EACCES) return std::nullopt;
    if (errno == ENODEV)
      return fail(ErrorKind::kUnsupported, "the kernel has no FUSE; as root, `modprobe fuse`");
    return fail_errno(errno, "mounting");
  }
  return device;
}

Result<UniqueFd> mount_through_fusermount(const MountOptions& options,
                                          const std::string& mount_point) {
  std::string text = fmt::format("ro,nosuid,nodev,noatime,fsname={},subtype=castore,{}",
                                 escape_option(options.source), common_options(options));
  auto device = fusermount_mount(mount_point, text);
  if (device || !options.allow_other) return device;
  return fail(device.error().kind(),
              "{} (allow_other needs the line `user_allow_other` in /etc/fuse.conf, or root)",
              device.error().message());
}

}  // namespace

Result<Mounted> mount(const MountOptions& options) {
  std::string mount_point = CASTORE_TRY_WHILE(check_mount_point(options.mount_point),
                                              "mounting on {}", options.mount_point);
  auto direct =
      CASTORE_TRY_WHILE(mount_directly(options, mount_point), "mounting on {}", mount_point);
  Mounted mounted;
  mounted.mount_point = mount_point;
  if (direct) {
    mounted.device = std::move(*direct);
  } else {
    mounted.device = CASTORE_TRY_WHILE(mount_through_fusermount(options, mount_point),
                                       "mounting on {}", mount_point);
  }

  auto present = mount_at(mount_point);
  int flags = ::fcntl(mounted.device.get(), F_GETFL);
  if (present && *present && flags >= 0 &&
      ::fcntl(mounted.device.get(), F_SETFL, flags | O_NONBLOCK) == 0) {
    mounted.number = (*present)->device;
    return mounted;
  }
  mounted.device.reset();
  if (auto undone = unmount_once(mount_point, true); !undone)
    spdlog::warn("unmounting {} again: {}", mount_point, undone.error().message());
  if (!present) return std::unexpected(std::move(present.error()));
  return fail(ErrorKind::kInternal, "mounting on {}: the new mount is not in the mount table",
              mount_point);
}

Result<void> unmount_own(const std::string& mount_point, const std::string& number) {
  auto present = CASTORE_TRY_WHILE(mount_at(mount_point), "unmounting {}", mount_point);
  if (!present || present->device != number) return {};
  if (unmount_once(mount_point, false)) return {};
  CASTORE_TRY_WHILE(unmount_once(mount_point, true), "unmounting {}", mount_point);
  return {};
}

Result<MountLine> castore_mount_at(const std::string& path) {
  auto resolved = resolve(path);
  if (!resolved) return std::unexpected(Error::from_errno(resolved.error(), path));
  auto present = CASTORE_TRY(mount_at(*resolved));
  if (!present) return fail(ErrorKind::kInvalidArgument, "{}: nothing is mounted there", path);
  if (present->type != kFilesystemType)
    return fail(ErrorKind::kInvalidArgument, "{}: it is no castore mount but one of type {}", path,
                present->type);
  return std::move(*present);
}

Result<void> unmount(const std::string& path, bool lazy) {
  MountLine present = CASTORE_TRY_WHILE(castore_mount_at(path), "unmounting");
  auto done = unmount_once(present.mount_point, lazy);
  if (!done && !lazy && state_of_mount(present.mount_point) == MountState::kDead)
    done = unmount_once(present.mount_point, true);
  if (done) return {};
  if (!lazy && done.error().kind() == ErrorKind::kUnavailable)
    return fail(ErrorKind::kUnavailable,
                "unmounting {}: programs still use it; end them, or unmount lazily", path);
  return std::unexpected(std::move(done.error()).context(fmt::format("unmounting {}", path)));
}

}  // namespace castore::fuse_device
