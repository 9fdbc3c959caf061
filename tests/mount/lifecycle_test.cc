// SPDX-License-Identifier: MIT OR Apache-2.0
// How mounts begin and end, well or badly.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <thread>

#include "base/guarded.h"
#include "base/unique_fd.h"
#include "fuse_device/mount.h"
#include "fuse_device/mount_state.h"
#include "fuse_device/mount_table.h"
#include "mount_test_base.h"
#include "store/testing/must.h"

namespace castore::mount_tests {
namespace {

// A root in which looking anything up takes until the asker gives up.
class EndlessRoot final : public fs::RootProvider {
 public:
  Result<std::optional<Node>> lookup(const Context& ctx, std::string_view) override {
    if (!ctx.may_wait) return fail(ErrorKind::kWouldWait, "this takes for ever");
    std::stop_callback wake(ctx.stop, [this] { changed_.notify_all(); });
    auto state = state_.lock();
    ++state->waiting;
    changed_.notify_all();
    // `notify_all` may come between the test and the wait, so each wait is short.
    while (!state.wait_for(changed_, std::chrono::milliseconds(10),
                           [&] { return ctx.stop_requested(); })) {
    }
    ++state->stopped;
    changed_.notify_all();
    return fail(ErrorKind::kCancelled, "interrupted");
  }
  Result<std::vector<NamedNode>> list(const Context&) override { return std::vector<NamedNode>{}; }

  void wait_until_waiting(size_t count) {
    auto state = state_.lock();
    state.wait(changed_, [&] { return state->waiting >= count; });
  }
  void wait_until_stopped(size_t count) {
    auto state = state_.lock();
    state.wait(changed_, [&] { return state->stopped >= count; });
  }

 private:
  struct State {
    size_t waiting = 0;
    size_t stopped = 0;
  };
  Guarded<State> state_;
  std::condition_variable changed_;
};

class MountLife : public MountTest {
 protected:
  std::string start_error(const fuse_device::ServerOptions& options) {
    auto filesystem = std::make_shared<fs::Filesystem>(services_.blobs, services_.directories,
                                                       fs::map_root({}), fs::FilesystemOptions{});
    auto server = fuse_device::FuseServer::start(filesystem, options);
    return server ? "" : server.error().message();
  }
};

TEST_F(MountLife, TheMountTableTellsWhatItIs) {
  mount({});
  auto line = store::testing::must(fuse_device::mount_at(mount_point_));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->type, "fuse.castore");
  EXPECT_EQ(line->source, "castore tests");
  EXPECT_EQ(server_->mount_point(), mount_point_);
}

TEST_F(MountLife, TheKernelGrantsWhatIsWanted) {
  mount({});
  uint64_t wanted = fuse::abi::kAsyncRead | fuse::abi::kDoReaddirplus | fuse::abi::kParallelDirops |
                    fuse::abi::kCacheSymlinks | fuse::abi::kMaxPages;
  fuse_device::MountFacts facts = server_->facts();
  EXPECT_EQ(facts.session.agreed & wanted, wanted);
  EXPECT_TRUE(facts.cloned);
  EXPECT_GE(facts.threads, thread_count_ > 0 && facts.transport == fuse_device::Transport::kDevice
                               ? thread_count_
                               : 1);
}

TEST_F(MountLife, OneThreadIsEnough) {
  thread_count_ = 1;
  mount({{"f", file("content")}});
  EXPECT_EQ(*read_file(at("f")), "content");
}

TEST_F(MountLife, UnmountingFromOutsideEndsTheServer) {
  mount({{"f", file("content")}});
  EXPECT_EQ(*read_file(at("f")), "content");
  ASSERT_EQ(::umount2(mount_point_.c_str(), 0), 0) << errno;
  EXPECT_TRUE(server_->wait());
  server_.reset();
}

TEST_F(MountLife, AfterALazyUnmountOpenFilesReadOn) {
  std::string content(200'000, 'x');
  mount({{"f", file(content)}});
  UniqueFd fd(::open(at("f").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fuse_device::unmount(mount_point_, true));
  EXPECT_FALSE(is_mounted(mount_point_));
  std::string all(content.size(), '\0');
  EXPECT_EQ(::pread(fd.get(), all.data(), all.size(), 0), static_cast<ssize_t>(all.size()));
  fd.reset();
  EXPECT_TRUE(server_->wait());
  server_.reset();
}

TEST_F(MountLife, UnmountingIsRefusedWhileProgramsUseIt) {
  mount({{"f", file("content")}});
  UniqueFd fd(::open(at("f").c_str(), O_RDONLY | O_CLOEXEC));
  auto refused = fuse_device::unmount(mount_point_, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kUnavailable);
  fd.reset();
  EXPECT_TRUE(fuse_device::unmount(mount_point_ + "/", false));
  EXPECT_TRUE(server_->wait());
}

TEST_F(MountLife, OnlyCastoreMountsAreUnmounted) {
  auto nothing = fuse_device::unmount(mount_point_, false);
  ASSERT_FALSE(nothing);
  EXPECT_NE(nothing.error().message().find("nothing is mounted there"), std::string::npos);
  auto other = fuse_device::unmount("/proc", false);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message().find("type proc"), std::string::npos);
  auto absent = fuse_device::unmount(mount_point_ + "/absent", false);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().kind(), ErrorKind::kNotFound);
}

TEST_F(MountLife, AStopReleasesProgramsThatHaveFilesOpen) {
  mount({{"f", file("content")}});
  UniqueFd fd(::open(at("f").c_str(), O_RDONLY | O_CLOEXEC));
  end();
  EXPECT_FALSE(is_mounted(mount_point_));
  char byte;
  EXPECT_EQ(::pread(fd.get(), &byte, 1, 0), -1);
}

TEST_F(MountLife, AStopFromAnotherThreadEndsTheWait) {
  mount({});
  std::thread other([&] {
    server_->request_stop();
    server_->request_stop();
  });
  EXPECT_TRUE(server_->wait());
  other.join();
}

TEST_F(MountLife, AServerThatIsDroppedUnmounts) {
  mount({});
  server_.reset();
  EXPECT_FALSE(is_mounted(mount_point_));
}

// Programs that wait for the store are let go although the store still holds the request.
TEST_F(MountLife, AStopWhileAReadHangsNeitherHangsNorLosesTheProcess) {
  store_may_be_slow_ = true;
  stop_grace_ = std::chrono::milliseconds(50);
  mount({{"f", file("content")}});
  gated_->read_gate().close();
  std::thread reader([&] {
    auto content = read_file(at("f"));
    EXPECT_FALSE(content);
  });
  gated_->read_gate().wait_until_held(1);
  server_->request_stop();
  auto ended = server_->wait();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind(), ErrorKind::kUnavailable);
  EXPECT_FALSE(is_mounted(mount_point_));
  reader.join();

  gated_->read_gate().open();
  while (!server_->wait()) {
  }
  server_.reset();
}

TEST_F(MountLife, AStopReachesRequestsInTheStore) {
  store_may_be_slow_ = true;
  auto root = std::make_shared<EndlessRoot>();
  mount_root(root);
  std::thread asker([&] { EXPECT_NE(error_of(stat_of(at("anything"))), 0); });
  root->wait_until_waiting(1);
  end();
  asker.join();
  root->wait_until_stopped(1);
}

TEST_F(MountLife, AKilledProgramsRequestIsInterrupted) {
  store_may_be_slow_ = true;
  auto root = std::make_shared<EndlessRoot>();
  mount_root(root);
  std::string path = at("anything");
  pid_t child = ::fork();
  if (child == 0) {
    struct stat status;
    ::_exit(::stat(path.c_str(), &status));
  }
  root->wait_until_waiting(1);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  root->wait_until_stopped(1);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_F(MountLife, BadMountPointsAreExplained) {
  auto options = server_options();
  options.mount.mount_point = mount_point_ + "/absent";
  EXPECT_NE(start_error(options).find("No such file"), std::string::npos);
  options.mount.mount_point = folder_.write_file("file", "");
  EXPECT_NE(start_error(options).find("is not a folder"), std::string::npos);
  mount({});
  EXPECT_NE(start_error(server_options()).find("already"), std::string::npos);
}

TEST_F(MountLife, AMountPointBehindASymlinkIsResolved) {
  auto options = server_options();
  options.mount.mount_point = folder_.symlink("way", mount_point_);
  auto filesystem = std::make_shared<fs::Filesystem>(services_.blobs, services_.directories,
                                                     fs::map_root({}), fs::FilesystemOptions{});
  server_ = store::testing::must(fuse_device::FuseServer::start(filesystem, options));
  EXPECT_EQ(server_->mount_point(), mount_point_);
  EXPECT_TRUE(is_mounted(mount_point_));
}

// Also while a program has a file of it open.
TEST_F(MountLife, ADeadMountIsMountedOver) {
  std::array<int, 2> ready;
  ASSERT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
  pid_t child = ::fork();
  if (child == 0) {
    mount({{"f", file("content")}});
    char byte = 1;
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  UniqueFd held(::open(at("f").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(held);
  ::close(ready[0]);
  ::close(ready[1]);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);

  // The kernel lets go of a ring some time after its process has ended; ECONNABORTED while it is at
  // it.
  while (fuse_device::state_of_mount(mount_point_) != fuse_device::MountState::kDead) {
  }
  EXPECT_TRUE(stat_of(mount_point_)) << "what the kernel remembers says nothing of this";
  mount({{"f", file("content")}});
  EXPECT_EQ(fuse_device::state_of_mount(mount_point_), fuse_device::MountState::kAlive);
  EXPECT_EQ(*read_file(at("f")), "content");
}

}  // namespace
}  // namespace castore::mount_tests
