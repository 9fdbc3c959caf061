// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/listening_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "cli/unix_address.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"

namespace castore::cli {
namespace {

using store::testing::must;
using testing::HasSubstr;

class ListeningSocketTest : public testing::Test {
 protected:
  static bool can_connect(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    UnixAddress address = must(UnixAddress::of(path));
    return ::connect(fd.get(), address.get(), address.length) == 0;
  }

  // As a process leaves it that was killed.
  void leave_socket_behind() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    UnixAddress address = must(UnixAddress::of(path_));
    ASSERT_EQ(::bind(fd.get(), address.get(), address.length), 0);
    ASSERT_EQ(::listen(fd.get(), 1), 0);
  }

  mode_t mode() const {
    struct stat status;
    return ::lstat(path_.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }

  store::testing::TempFolder folder_;
  std::string path_ = folder_ / "socket";
};

TEST_F(ListeningSocketTest, LetsProgramsOfTheUserConnect) {
  ListeningSocket socket = must(ListeningSocket::make(path_, std::nullopt));
  EXPECT_EQ(mode(), 0600u);
  ASSERT_TRUE(can_connect(path_));
  EXPECT_TRUE(socket.accept());
}

TEST_F(ListeningSocketTest, LetsAGroupConnectToo) {
  ListeningSocket socket = must(ListeningSocket::make(path_, ::getegid()));
  EXPECT_EQ(mode(), 0660u);
}

TEST_F(ListeningSocketTest, RemovesItsFileInTheEnd) {
  {
    ListeningSocket socket = must(ListeningSocket::make(path_, std::nullopt));
  }
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
}

TEST_F(ListeningSocketTest, LeavesAFileThatTookItsPlace) {
  {
    ListeningSocket socket = must(ListeningSocket::make(path_, std::nullopt));
    // The new one before the old one goes, or it could get the same inode number.
    folder_.write_file("new", "");
    ASSERT_EQ(::rename((folder_ / "new").c_str(), path_.c_str()), 0);
  }
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
}

TEST_F(ListeningSocketTest, ReplacesWhatAProcessLeftThatIsGone) {
  leave_socket_behind();
  ASSERT_FALSE(can_connect(path_));
  ListeningSocket socket = must(ListeningSocket::make(path_, std::nullopt));
  EXPECT_TRUE(can_connect(path_));
}

TEST_F(ListeningSocketTest, DoesNotTakeTheSocketOfALivingProcess) {
  ListeningSocket first = must(ListeningSocket::make(path_, std::nullopt));
  auto second = ListeningSocket::make(path_, std::nullopt);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind(), ErrorKind::kUnavailable);
  EXPECT_THAT(second.error().message(), HasSubstr(path_));
  // Nor does the other see anybody connect who asked.
  struct pollfd polled = {first.descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 0), 0);
  EXPECT_TRUE(can_connect(path_));
}

TEST_F(ListeningSocketTest, DoesNotReplaceAnOrdinaryFile) {
  folder_.write_file("socket", "precious");
  auto made = ListeningSocket::make(path_, std::nullopt);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
}

TEST_F(ListeningSocketTest, RefusesNamesThatAreTooLong) {
  auto made = ListeningSocket::make(folder_ / std::string(120, 'x'), std::nullopt);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), HasSubstr("longer than the 107 bytes"));
}

TEST_F(ListeningSocketTest, TakesADescriptorThatListens) {
  ListeningSocket made = must(ListeningSocket::make(path_, std::nullopt));
  ListeningSocket taken = must(ListeningSocket::inherited(::dup(made.descriptor())));
  ASSERT_TRUE(can_connect(path_));
  EXPECT_TRUE(taken.accept());
}

TEST_F(ListeningSocketTest, RefusesADescriptorThatDoesNot) {
  for (int number : {STDERR_FILENO, 999})
    EXPECT_EQ(ListeningSocket::inherited(number).error().kind(), ErrorKind::kInvalidArgument);
}

TEST_F(ListeningSocketTest, TakesNothingThatIsForAnotherProcess) {
  ::setenv("LISTEN_PID", "1", 1);
  ::setenv("LISTEN_FDS", "1", 1);
  EXPECT_TRUE(must(ListeningSocket::from_service_manager()).empty());
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
}

TEST(GroupOf, ReadsNamesAndNumbers) {
  EXPECT_EQ(must(group_of("root")), 0u);
  EXPECT_EQ(must(group_of("4711")), 4711u);
  EXPECT_EQ(group_of("no-such-group-here").error().kind(), ErrorKind::kNotFound);
}

}  // namespace
}  // namespace castore::cli
