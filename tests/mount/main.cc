// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests on real kernel mounts. They run in a mount namespace of their own, so that whatever happens
// to this program no mount stays behind.
//
//   mount_test [cached|passthrough] [dev|uring]     how to mount: cached and dev by default
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "mount_test_base.h"

namespace castore::mount_tests {
namespace {

fuse_device::ReadPath read_path = fuse_device::ReadPath::kCached;
fuse_device::Transport transport = fuse_device::Transport::kDevice;

}  // namespace

fuse_device::ReadPath read_path_under_test() {
  return read_path;
}
fuse_device::Transport transport_under_test() {
  return transport;
}

}  // namespace castore::mount_tests

namespace {

using castore::fuse_device::ReadPath;
using castore::fuse_device::Transport;

constexpr int kSkipped = 77;  // what CTest takes for a skip

// Why mounting cannot be tried here, or nothing.
std::string obstacle() {
  if (::access("/dev/fuse", F_OK) != 0) return "there is no /dev/fuse";
  if (::geteuid() != 0) return "root is needed to mount in a namespace of its own";
  if (::unshare(CLONE_NEWNS) != 0)
    return std::string("no mount namespace can be made: ") + std::strerror(errno);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return std::string("the mount namespace cannot be made private: ") + std::strerror(errno);
  return {};
}

// The kernel's switch for io_uring, which is off by default: on while this lives.
class UringSwitch {
 public:
  bool turn_on() {
    std::FILE* file = std::fopen(kSwitch, "r+");
    if (file == nullptr) return false;
    was_off_ = std::fgetc(file) == 'N';
    std::rewind(file);
    bool written = std::fputs("Y", file) >= 0;
    return std::fclose(file) == 0 && written;
  }
  UringSwitch() = default;
  UringSwitch(const UringSwitch&) = delete;
  UringSwitch& operator=(const UringSwitch&) = delete;
  ~UringSwitch() {
    if (!was_off_) return;
    std::FILE* file = std::fopen(kSwitch, "w");
    if (file == nullptr) return;
    std::fputs("N", file);
    std::fclose(file);
  }

 private:
  static constexpr const char* kSwitch = "/sys/module/fuse/parameters/enable_uring";
  bool was_off_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  UringSwitch uring;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "passthrough") castore::mount_tests::read_path = ReadPath::kPassthrough;
    if (word == "uring") castore::mount_tests::transport = Transport::kIoUring;
  }
  if (std::string why = obstacle(); !why.empty()) {
    std::printf("mount tests skipped: %s\n", why.c_str());
    return kSkipped;
  }
  if (castore::mount_tests::transport == Transport::kIoUring && !uring.turn_on()) {
    std::printf("mount tests skipped: this kernel has no FUSE over io_uring\n");
    return kSkipped;
  }
  return RUN_ALL_TESTS();
}
