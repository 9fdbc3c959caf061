// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include "base/unique_fd.h"

namespace castore::cli {
namespace {

struct Address {
  sockaddr_un socket = {};
  socklen_t length = 0;
};

Result<Address> address_of(std::string_view name) {
  Address address;
  if (name[0] != '/' && name[0] != '@')
    return fail(ErrorKind::kUnsupported, "it is neither a path nor an abstract address");
  // A path is ended by a zero byte; an abstract address begins with one and ends with its length.
  if (name.size() >= sizeof address.socket.sun_path)
    return fail(ErrorKind::kInvalidArgument, "it is too long for a socket's address");
  address.socket.sun_family = AF_UNIX;
  std::ranges::copy(name, address.socket.sun_path);
  if (name[0] == '@') address.socket.sun_path[0] = '\0';
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() +
                                          (name[0] == '/' ? 1 : 0));
  return address;
}

Result<void> send(std::string_view name, std::string_view datagram) {
  Address address = CASTORE_TRY(address_of(name));
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "making a socket");
  ssize_t sent = -1;
  do {
    sent = ::sendto(socket.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&address.socket), address.length);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno(errno, "sending");
  return {};
}

}  // namespace

Result<void> notify_service_manager(std::string_view assignments) {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || name[0] == '\0') return {};
  CASTORE_TRY_WHILE(send(name, assignments), "telling the service manager at {}", name);
  return {};
}

}  // namespace castore::cli
