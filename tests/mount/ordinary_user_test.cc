// SPDX-License-Identifier: MIT OR Apache-2.0
// Mounting without root, through fusermount3.
#include <fcntl.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>

#include "fuse_device/mount.h"
#include "mount_test_base.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"

namespace castore::mount_tests {
namespace {

constexpr uid_t kNobody = 65534;

class OrdinaryUser : public MountTest {
 protected:
  void SetUp() override {
    if (::access("/usr/bin/fusermount3", X_OK) != 0 && ::access("/bin/fusermount3", X_OK) != 0)
      GTEST_SKIP() << "fusermount3 is not installed";
    open_device_to_all();
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    ASSERT_EQ(::chown(mount_point_.c_str(), kNobody, kNobody), 0);
  }
  void TearDown() override {
    if (device_hidden_) {
      // The kernel lets go of a ring's files a while after its process has ended.
      EXPECT_EQ(::umount2("/dev/fuse", MNT_DETACH), 0);
      EXPECT_EQ(::umount2(devices_.c_str(), MNT_DETACH), 0);
    }
    MountTest::TearDown();
  }

  // Runs `body`, as a user without privileges, in a process of its own.
  int as_nobody(const std::function<int()>& body) {
    return in_child([&] {
      if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)
        return 100;
      return body();
    });
  }

 private:
  // Distributions let everybody open /dev/fuse; where this one does not, a device node that does is
  // put over it, in this program's namespace only.
  void open_device_to_all() {
    struct stat status;
    ASSERT_EQ(::stat("/dev/fuse", &status), 0);
    if ((status.st_mode & 0006) == 0006) return;
    devices_ = folder_.make_folder("dev");
    ASSERT_EQ(::mount("tmpfs", devices_.c_str(), "tmpfs", 0, nullptr), 0) << errno;
    std::string node = devices_ + "/fuse";
    ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0600, status.st_rdev), 0);
    ASSERT_EQ(::chmod(node.c_str(), 0666), 0);
    ASSERT_EQ(::mount(node.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr), 0);
    device_hidden_ = true;
  }

  std::string devices_;
  bool device_hidden_ = false;
};

TEST_F(OrdinaryUser, MountsReadsAndUnmounts) {
  Node tree = store::testing::put_complicated(services_);
  Node content = file("content");
  EXPECT_EQ(as_nobody([&] {
              mount({{"f", content}, {"tree", tree}}, {.list_root = true});
              if (!is_mounted(mount_point_)) return 1;
              if (read_file(at("f")) != "content") return 2;
              if (list_folder(at("tree"))->size() != 3) return 3;
              server_->request_stop();
              if (auto ended = server_->wait(); !ended) {
                std::fprintf(stderr, "%s\n", ended.error().message().c_str());
                return 4;
              }
              return is_mounted(mount_point_) ? 5 : 0;
            }),
            0);
}

TEST_F(OrdinaryUser, UnmountsLazilyWhenFilesAreOpen) {
  Node content = file("content");
  EXPECT_EQ(as_nobody([&] {
              mount({{"f", content}});
              int fd = ::open(at("f").c_str(), O_RDONLY | O_CLOEXEC);
              if (fd < 0) return 1;
              auto refused = fuse_device::unmount(mount_point_, false);
              if (refused || refused.error().kind() != ErrorKind::kUnavailable) return 2;
              server_->request_stop();
              if (!server_->wait()) return 3;
              return is_mounted(mount_point_) ? 4 : 0;
            }),
            0);
}

TEST_F(OrdinaryUser, MayNotLetOthersInUnlessTheSystemSaysSo) {
  EXPECT_EQ(
      as_nobody([&] {
        auto options = server_options();
        options.mount.allow_other = true;
        auto filesystem = std::make_shared<fs::Filesystem>(
            services_.blobs, services_.directories, fs::map_root({}), fs::FilesystemOptions{});
        auto server = fuse_device::FuseServer::start(filesystem, options);
        if (server) return 0;  // /etc/fuse.conf allows it here
        bool explained = server.error().message().find("user_allow_other") != std::string::npos;
        return explained ? 0 : 1;
      }),
      0);
}

TEST_F(OrdinaryUser, MayNotMountWhereItMayNotWrite) {
  std::string theirs = folder_.make_folder("theirs");
  EXPECT_EQ(as_nobody([&] {
              auto options = server_options();
              options.mount.mount_point = theirs;
              auto filesystem =
                  std::make_shared<fs::Filesystem>(services_.blobs, services_.directories,
                                                   fs::map_root({}), fs::FilesystemOptions{});
              auto server = fuse_device::FuseServer::start(filesystem, options);
              if (server) return 1;
              return server.error().kind() == ErrorKind::kDenied ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace castore::mount_tests
