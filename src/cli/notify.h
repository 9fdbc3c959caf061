// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string_view>

#include "base/result.h"

namespace castore::cli {

// Tells the service manager how this process is doing: assignments such as "READY=1", one a line,
// in one datagram to the socket that $NOTIFY_SOCKET names (a path, or with '@' in front an abstract
// address), as systemd expects it of services with Type=notify. Where that variable is not set
// nobody asked, and nothing is said. Blocks until the manager's queue has room.
Result<void> notify_service_manager(std::string_view assignments);

}  // namespace castore::cli
