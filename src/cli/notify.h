// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::cli {

// The service manager that waits to hear how this process is doing, as systemd does with
// Type=notify: at the socket that $NOTIFY_SOCKET names (a path, or with '@' in front an abstract
// address). Where that variable is not set nobody asked, and `tell` says nothing.
class ServiceManager {
 public:
  // Connects, so that it can be told also from where the socket is not seen any more.
  static Result<ServiceManager> find();

  // Assignments such as "READY=1", one a line, in one datagram. Blocks until the manager's queue
  // has room.
  Result<void> tell(std::string_view assignments) const;

  // Of the connection, or -1.
  int descriptor() const { return socket_.get(); }

 private:
  std::string name_;
  UniqueFd socket_;
};

// The two in one.
Result<void> notify_service_manager(std::string_view assignments);

}  // namespace castore::cli
