// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace castore::sandbox {

// What remains of the file system, each under the name it has now. Absolute.
struct VisiblePlaces {
  std::vector<std::string> folders;        // with all in them, read-only
  std::vector<std::string> written_files;  // in these folders; may be written to all the same
};

// Puts the calling thread into a mount namespace of its own whose root is an empty, read-only
// memory file system with nothing but `places` in it. Places that do not exist are left out.
// Descriptors opened before stay what they are.
//
// Needs CAP_SYS_ADMIN in the user namespace of the process. Linux 5.12.
Result<void> enter_private_root(const VisiblePlaces& places);

}  // namespace castore::sandbox
