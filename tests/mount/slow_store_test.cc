// SPDX-License-Identifier: MIT OR Apache-2.0
// A store that hangs for ever, whatever deadline it is given, holds up nobody but who asks for what
// it hangs on. One thread serves each mount, so that a single request that waits there would stop
// everything.
#include <fcntl.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "base/unique_fd.h"
#include "fuse_device/mount.h"
#include "mount_test_base.h"
#include "store/testing/gated_directory_service.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"

namespace castore::mount_tests {
namespace {

class SlowStore : public MountTest {
 protected:
  SlowStore() {
    store_may_be_slow_ = true;
    thread_count_ = 1;
    gated_directories_ =
        std::make_shared<store::testing::GatedDirectoryService>(services_.directories);
    services_.directories = gated_directories_;
  }

  // Hangs are ended before the mount is.
  void TearDown() override {
    gated_->open_gate().open();
    gated_->read_gate().open();
    gated_directories_->gate().open();
    MountTest::TearDown();
  }

  // As lsof finds out.
  static bool process_has_open(pid_t process, const std::string& path) {
    std::string folder = "/proc/" + std::to_string(process) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      struct stat status;
      if (link_target(entry.path()) == path) return ::stat(entry.path().c_str(), &status) == 0;
    }
    return false;
  }

  std::shared_ptr<store::testing::GatedDirectoryService> gated_directories_;
};

TEST_F(SlowStore, AFileThatHangsHoldsUpNoOther) {
  Node folder =
      store::testing::TreeBuilder(services_).file("a", "in a folder").symlink("l", "a").build();
  mount({{"slow", file("never comes")}, {"other", file("content")}, {"folder", folder}},
        {.list_root = true});
  EXPECT_EQ(*read_file(at("other")), "content");
  EXPECT_EQ(list_folder(at("folder"))->size(), 2u);
  gated_->open_gate().close();
  std::vector<std::thread> readers;
  for (int i = 0; i < 10; ++i)
    readers.emplace_back([&] { EXPECT_EQ(*read_file(at("slow")), "never comes"); });
  gated_->open_gate().wait_until_held(1);

  EXPECT_EQ(stat_of(at("slow"))->st_size, 11);
  EXPECT_EQ(list_folder(mount_point_)->size(), 3u);
  EXPECT_EQ(link_target(at("folder/l")), "a");
  struct statvfs totals;
  EXPECT_EQ(::statvfs(mount_point_.c_str(), &totals), 0);
  // The pages of this one are with the kernel; a file that must be fetched waits behind the gate
  // only because that is where all fetches are held here.
  EXPECT_EQ(*read_file(at("other")), "content");

  gated_->open_gate().open();
  for (std::thread& reader : readers) reader.join();
}

// What administrators and their programs do on a machine, whatever one mount of it waits for.
TEST_F(SlowStore, TheMachineGoesOnAroundAFileThatNeverComes) {
  mount({{"slow", file("never comes")}, {"other", file("content")}}, {.list_root = true});
  EXPECT_EQ(*read_file(at("other")), "content");
  gated_->open_gate().close();
  pid_t reader = ::fork();
  if (reader == 0) {
    char byte;
    UniqueFd fd(::open(at("slow").c_str(), O_RDONLY | O_CLOEXEC));
    ::_exit(::read(fd.get(), &byte, 1) == 1 ? 0 : 1);
  }
  gated_->open_gate().wait_until_held(1);

  // df
  struct statfs totals;
  EXPECT_EQ(::statfs(mount_point_.c_str(), &totals), 0);
  EXPECT_EQ(totals.f_namelen, 255);
  // sync, of this mount and of a file in it
  UniqueFd other(::open(at("other").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::syncfs(other.get()), 0);
  EXPECT_EQ(::fsync(other.get()), 0);
  // lsof and fuser: all descriptors of all processes
  EXPECT_TRUE(process_has_open(::getpid(), at("other")));
  // ls, cat and castore stats
  EXPECT_EQ(list_folder(mount_point_)->size(), 2u);
  EXPECT_EQ(*read_file(at("other")), "content");
  EXPECT_GE(server_->facts().deferred.running, 1u);
  other.reset();

  // umount, which is refused as long as the reader has its file open, and SIGTERM to the reader
  EXPECT_FALSE(fuse_device::unmount(mount_point_, false));
  ::kill(reader, SIGTERM);
  int status = 0;
  ASSERT_EQ(::waitpid(reader, &status, 0), reader);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(fuse_device::unmount(mount_point_, true));
  EXPECT_FALSE(is_mounted(mount_point_));
  gated_->open_gate().open();
  EXPECT_TRUE(server_->wait());
  server_.reset();
}

TEST_F(SlowStore, AMountThatIsAskedToEndDoesSoWhileTheStoreHangs) {
  stop_grace_ = std::chrono::milliseconds(50);
  mount({{"slow", file("never comes")}});
  gated_->open_gate().close();
  std::thread reader([&] { EXPECT_FALSE(read_file(at("slow"))); });
  gated_->open_gate().wait_until_held(1);
  server_->request_stop();
  auto ended = server_->wait();
  ASSERT_FALSE(ended) << "the request is still with the store";
  EXPECT_EQ(ended.error().kind(), ErrorKind::kUnavailable);
  EXPECT_FALSE(is_mounted(mount_point_));
  reader.join();
  gated_->open_gate().open();
  while (!server_->wait()) {
  }
  server_.reset();
}

TEST_F(SlowStore, AFolderThatHangsHoldsUpNoOther) {
  Node slow = store::testing::TreeBuilder(services_).file("a", "late").build();
  Node quick = store::testing::TreeBuilder(services_).file("b", "soon").build();
  mount({{"slow", slow}, {"quick", quick}});
  EXPECT_EQ(list_folder(at("quick"))->size(), 1u);
  gated_directories_->gate().close();
  std::thread lister([&] { EXPECT_EQ(list_folder(at("slow"))->size(), 1u); });
  gated_directories_->gate().wait_until_held(1);
  EXPECT_TRUE(stat_of(at("slow")));
  EXPECT_EQ(*read_file(at("quick/b")), "soon");
  gated_directories_->gate().open();
  lister.join();
}

TEST_F(SlowStore, WhatDoesNotComeInTimeFailsAndTheNextTryAsksAgain) {
  // Also the next tries must come in time, on a machine that does much else.
  read_timeout_ = std::chrono::milliseconds(1000);
  Node folder = store::testing::TreeBuilder(services_).file("a", "content").build();
  mount({{"folder", folder}});
  gated_directories_->gate().close();
  EXPECT_EQ(error_of(list_folder(at("folder"))), EIO);
  EXPECT_EQ(error_of(stat_of(at("folder/a"))), EIO);
  gated_directories_->gate().open();
  EXPECT_EQ(list_folder(at("folder"))->size(), 1u);
  gated_->open_gate().close();
  EXPECT_EQ(error_of(read_file(at("folder/a"))), EIO);
  gated_->open_gate().open();
  EXPECT_EQ(*read_file(at("folder/a")), "content");
  EXPECT_GE(server_->facts().deferred.timeouts, 3u);
}

TEST_F(SlowStore, AProgramThatWaitsCanBeKilled) {
  Node folder = store::testing::TreeBuilder(services_).file("a", "content").build();
  mount({{"folder", folder}});
  gated_directories_->gate().close();
  pid_t child = ::fork();
  if (child == 0) {
    struct stat status;
    ::_exit(::stat(at("folder/a").c_str(), &status) == 0 ? 0 : 1);
  }
  gated_directories_->gate().wait_until_held(1);
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
}

}  // namespace
}  // namespace castore::mount_tests
