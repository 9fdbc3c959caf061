// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/unix_address.h"

#include <algorithm>
#include <cstddef>

namespace castore::cli {

Result<UnixAddress> UnixAddress::of(std::string_view name) {
  UnixAddress address;
  if (name.empty()) return fail(ErrorKind::kInvalidArgument, "its name is empty");
  // A path is ended by a zero byte; an abstract address begins with one and ends with its length.
  if (name.size() >= sizeof address.socket.sun_path)
    return fail(ErrorKind::kInvalidArgument, "its name is longer than the {} bytes of an address",
                sizeof address.socket.sun_path - 1);
  address.socket.sun_family = AF_UNIX;
  std::ranges::copy(name, address.socket.sun_path);
  const bool is_abstract = name[0] == '@';
  if (is_abstract) address.socket.sun_path[0] = '\0';
  address.length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (is_abstract ? 0 : 1));
  return address;
}

}  // namespace castore::cli
