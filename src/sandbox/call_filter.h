// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "base/result.h"

namespace castore::sandbox {

// From now on the kernel kills the process, all threads at once, when one of them makes a system
// call that serving a guest from a local store never needs. What is left is enough to read open and
// not-yet-open files (none can be opened for writing), map memory that is not executed, talk over
// sockets that are there or come through one, start threads and wait. There is no way to a new
// process, program, socket, name or mount.
//
// docs/decisions/0011-a-sandbox-around-the-device.md has the list, and how it was found.
//
// For all threads that are and will be; the calling thread can gain no privileges from then on
// (no_new_privs). Cannot be undone. kUnsupported: the kernel has no such filters.
Result<void> forbid_unneeded_calls();

}  // namespace castore::sandbox
