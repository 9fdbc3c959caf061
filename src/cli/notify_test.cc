// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/notify.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string>

#include "base/unique_fd.h"
#include "store/testing/temp_folder.h"

namespace castore::cli {
namespace {

// The service manager's end of the conversation. '@' in front makes the address abstract.
class NotifyTest : public ::testing::Test {
 protected:
  ~NotifyTest() override { ::unsetenv("NOTIFY_SOCKET"); }

  void listen_at(std::string name) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    bool abstract = name[0] == '@';
    if (abstract) name[0] = '\0';
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    ASSERT_LT(name.size(), sizeof address.sun_path);
    std::ranges::copy(name, address.sun_path);
    size_t length = offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1);
    manager_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(manager_.get(), reinterpret_cast<sockaddr*>(&address),
                     static_cast<socklen_t>(length)),
              0);
  }

  // What has arrived by now, in one datagram.
  std::string heard() {
    std::string datagram(4096, '\0');
    ssize_t n = ::recv(manager_.get(), datagram.data(), datagram.size(), MSG_DONTWAIT);
    datagram.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return datagram;
  }

  store::testing::TempFolder folder_;
  UniqueFd manager_;
};

TEST_F(NotifyTest, OneDatagramReachesASocketInTheFileSystem) {
  listen_at(folder_ / "notify");
  auto told = notify_service_manager("READY=1\nSTATUS=serving /mnt");
  ASSERT_TRUE(told) << told.error().message();
  EXPECT_EQ(heard(), "READY=1\nSTATUS=serving /mnt");
  EXPECT_EQ(heard(), "");
}

TEST_F(NotifyTest, OneDatagramReachesAnAbstractSocket) {
  listen_at(fmt::format("@castore-notify-test-{}", ::getpid()));
  auto told = notify_service_manager("STOPPING=1");
  ASSERT_TRUE(told) << told.error().message();
  EXPECT_EQ(heard(), "STOPPING=1");
}

TEST_F(NotifyTest, WithoutAServiceManagerNothingIsSaid) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(notify_service_manager("READY=1"));
  ::setenv("NOTIFY_SOCKET", "", 1);
  EXPECT_TRUE(notify_service_manager("READY=1"));
}

TEST_F(NotifyTest, AManagerThatCannotBeReachedIsNamed) {
  for (const std::string& name : {folder_ / "absent", std::string("vsock:2:1234"),
                                  "/" + std::string(sizeof(sockaddr_un::sun_path), 'x')}) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    auto told = notify_service_manager("READY=1");
    ASSERT_FALSE(told) << name;
    EXPECT_NE(told.error().message().find(name), std::string::npos);
  }
}

}  // namespace
}  // namespace castore::cli
