// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/context.h"
#include "base/result.h"
#include "model/node.h"
#include "store/services.h"
#include "transfer/tally.h"

namespace castore::transfer {

// Writes a stored tree to disk at `destination`, which must not exist (its parent must). Folders
// and executables get mode 0755, other files 0644, whatever the umask. Content is verified on the
// way.
//
// The tree is written beside the destination, as NAME.partial-XXXXXX, and gets its name when it is
// complete. On failure, which a request to stop is too, it is removed; the error names the path
// that failed, in the destination. A process that is killed leaves it.
Result<void> export_tree(const Context& ctx, const store::Services& services, const Node& root,
                         const std::string& destination, Tally& tally);

// The paths of what exports to `destination` were killed over, or are writing at the moment.
std::vector<std::string> find_partial_exports(const std::string& destination);

}  // namespace castore::transfer
