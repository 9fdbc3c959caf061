// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "base/result.h"
#include "fuse/request.h"

namespace castore::cli {

// What the kernel offers a FUSE server. It says so only in the first request of a mount, so one is
// made, in a mount namespace of its own that nobody sees and that is gone at the return.
// kDenied where neither root nor user namespaces allow that. Forks: not with other threads about.
Result<fuse::InitRequest> probe_fuse();

}  // namespace castore::cli
