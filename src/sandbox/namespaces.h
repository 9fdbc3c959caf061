// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::sandbox {

// A pid namespace made by this process, which itself stays outside. Its first process does nothing
// but hold it open: it lives until this object, or the process that has it, goes, and then the
// kernel kills what is left in the namespace.
//
// Where the caller may not make namespaces (an ordinary user), it gets a user namespace of its own
// first, in which it is still itself and may; that cannot be undone. kDenied where the machine does
// not allow this either.
//
// Forks: before the process has other threads. Linux 5.5.
class PidNamespace {
 public:
  static Result<PidNamespace> make();
  PidNamespace(PidNamespace&&) = default;
  PidNamespace& operator=(PidNamespace&&) = delete;
  ~PidNamespace();

  // fork(2) into the namespace: 0 in the new process, whose number there is the number of this
  // process here. So no two of them have the same number, though each is in a namespace of its own:
  // LMDB tells the readers of a database apart by it. Once.
  Result<pid_t> fork_into();

 private:
  PidNamespace(pid_t first, UniqueFd life) : first_(first), life_(std::move(life)) {}

  pid_t first_;
  UniqueFd life_;  // a pipe's write end: the first process ends with it
};

}  // namespace castore::sandbox
