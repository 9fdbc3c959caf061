// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace castore::transfer {

// Removes what stands at `name` in an open folder, with all that is below it. Nothing there is
// fine. Nothing is followed, and nothing is touched in a folder that was moved elsewhere meanwhile.
// Needs three descriptors, whatever the depth.
Result<void> remove_tree(int folder_fd, const std::string& name);

}  // namespace castore::transfer
