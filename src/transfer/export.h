// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "base/context.h"
#include "base/result.h"
#include "model/node.h"
#include "store/services.h"
#include "transfer/tally.h"

namespace castore::transfer {

// Writes a stored tree to disk at `destination`, which must not exist (its parent must). Folders
// and executables get mode 0755, other files 0644, whatever the umask. Content is verified on the
// way. On failure what was written so far stays, and the error names the path that failed.
Result<void> export_tree(const Context& ctx, const store::Services& services, const Node& root,
                         const std::string& destination, Tally& tally);

}  // namespace castore::transfer
