// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string_view>

#include "base/result.h"

namespace castore::cli {

// Where a Unix socket is: a path, or with '@' in front an abstract name.
struct UnixAddress {
  sockaddr_un socket = {};
  socklen_t length = 0;

  // kInvalidArgument: empty, or longer than the 107 bytes that an address has room for.
  static Result<UnixAddress> of(std::string_view name);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&socket); }
};

}  // namespace castore::cli
