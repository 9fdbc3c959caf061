// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests on real kernel mounts. They run in a mount namespace of their own, so that whatever happens
// to this program no mount stays behind.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

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

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (std::string why = obstacle(); !why.empty()) {
    std::printf("mount tests skipped: %s\n", why.c_str());
    return kSkipped;
  }
  return RUN_ALL_TESTS();
}
