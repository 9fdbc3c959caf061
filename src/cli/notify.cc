// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/notify.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>

#include "cli/unix_address.h"

namespace castore::cli {
namespace {

Result<UniqueFd> connect_to(std::string_view name) {
  if (name[0] != '/' && name[0] != '@')
    return fail(ErrorKind::kUnsupported, "it is neither a path nor an abstract address");
  UnixAddress address = CASTORE_TRY(UnixAddress::of(name));
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "making a socket");
  if (::connect(socket.get(), address.get(), address.length) != 0)
    return fail_errno(errno, "connecting");
  return socket;
}

}  // namespace

Result<ServiceManager> ServiceManager::find() {
  ServiceManager manager;
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || name[0] == '\0') return manager;
  manager.name_ = name;
  manager.socket_ = CASTORE_TRY_WHILE(connect_to(name), "telling the service manager at {}", name);
  return manager;
}

Result<void> ServiceManager::tell(std::string_view assignments) const {
  if (!socket_) return {};
  ssize_t sent = -1;
  do {
    sent = ::send(socket_.get(), assignments.data(), assignments.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno(errno, "telling the service manager at {}", name_);
  return {};
}

Result<void> notify_service_manager(std::string_view assignments) {
  ServiceManager manager = CASTORE_TRY(ServiceManager::find());
  return manager.tell(assignments);
}

}  // namespace castore::cli
