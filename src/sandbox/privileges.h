// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace castore::sandbox {

// Whose files the calling process can read and change, from now on. Needs CAP_SETUID and CAP_SETGID
// unless it is that user already; leaves the supplementary groups behind. Only before the process
// has other threads: each would keep its own.
Result<void> become(uid_t user, gid_t group);

// Gives up all capabilities of the calling thread, and for it and all it starts the ways to get
// one: no program it runs gains any (no_new_privs), not even root's. Only before the process has
// other threads.
Result<void> give_up_privileges();

}  // namespace castore::sandbox
