// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/private_root.h"

namespace castore::sandbox {

enum class Mode {
  kNamespace,  // user (where needed), pid, mount, IPC and network namespaces of its own
  kChroot,     // a folder as root and no privileges; needs root, and leaves pids and network shared
};
std::string_view to_string(Mode mode);

struct Confinement {
  Mode mode = Mode::kNamespace;
  // kNamespace shows these under their names. kChroot has one folder, which becomes the root "/",
  // and can not make it read-only.
  VisiblePlaces places;
  bool keep_network = false;  // in kNamespace: for a store that is reached over one
  // The process keeps the standard streams (of which it reads none) and these.
  std::vector<int> kept_descriptors;
};

// Runs `serve` in a process of its own that can do little more than use what it was given: without
// capabilities and ways to get any, seeing only `places`, and as the owner of the first of them
// where that is not root's and the caller can become them. The filter for system calls is not put
// on here: `serve` does so when it has opened what it needs (sandbox/call_filter.h).
//
// The calling process waits, passes SIGTERM, SIGINT and SIGHUP on, and returns what `serve` gave.
// The confined one has a session of its own, so a terminal's signals come once, and dies with the
// calling one. Its memory is a copy: what `serve` changes the caller does not see; destructors of
// the caller's objects do not run in it.
//
// kDenied: this user, or this machine, cannot make such a process; the message says what would
// allow it. kInternal: the process died, by a signal that the message names.
//
// Once in a process. Forks: before the process has other threads, and before it opens a store.
Result<void> run_confined(const Confinement& confinement,
                          const std::function<Result<void>()>& serve);

}  // namespace castore::sandbox
