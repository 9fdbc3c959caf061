// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/device_backings.h"

#include <sys/ioctl.h>

#include <cerrno>

#include "base/check.h"

namespace castore::fuse_device {
namespace {

// As of Linux 6.9, in the kernel's <linux/fuse.h>.
struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
static_assert(sizeof(BackingMap) == 16);
constexpr unsigned long kBackingOpen = _IOW(229, 1, BackingMap);
constexpr unsigned long kBackingClose = _IOW(229, 2, uint32_t);

}  // namespace

Result<int32_t> DeviceBackings::add(const fs::BackingFile& file) {
  CASTORE_CHECK(device_, "the mount comes before its files");
  BackingMap map{.fd = file.fd, .flags = 0, .padding = 0};
  int id = ::ioctl(device_->get(), kBackingOpen, &map);
  if (id >= 0) return id;
  // In words of its own the number speaks of symbolic links.
  const char* reason = errno == ELOOP ? "giving the kernel a file to read by itself, of a "
                                        "filesystem that stands on others, as overlayfs does"
                                      : "giving the kernel a file to read by itself";
  return fail_errno(errno, "{}", reason);
}

void DeviceBackings::remove(int32_t id) {
  auto number = static_cast<uint32_t>(id);
  // Fails only once the connection is gone, and all files with it.
  (void)::ioctl(device_->get(), kBackingClose, &number);
}

}  // namespace castore::fuse_device
