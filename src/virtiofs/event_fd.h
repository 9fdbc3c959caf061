// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::virtiofs {

Result<UniqueFd> make_event();

// Whether a descriptor from a stranger can stand for an event, and makes it not block.
// kInvalidArgument: a file, a pipe or a socket, which would be readable for ever, or block.
Result<void> check_event(int fd);

// Adds one. Never waits: an event that is full has been raised. False: it is no event.
bool raise_event(int fd);
// Takes what was added. False: it is no event.
bool clear_event(int fd);

}  // namespace castore::virtiofs
