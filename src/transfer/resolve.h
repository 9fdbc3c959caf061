// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/context.h"
#include "base/result.h"
#include "model/node.h"
#include "nix/path_info.h"
#include "store/services.h"

namespace castore::transfer {

struct Resolved {
  Node node;
  std::optional<nix::PathInfo> path_info;  // when the reference named a registered path
  std::string sub_path;                    // below it, "" for the root itself
};

// Finds what a user names: REF or REF/SUB/PATH, where REF is a store path
// ("/nix/store/<digest>-<name>"), its base name, or a digest ("blake3-...", which may contain
// slashes and is therefore read by its length) of a directory or else a blob. Symlinks on the way
// are not followed, and what ends in a slash must be a directory. kNotFound says which part is not
// there.
Result<Resolved> resolve(const Context& ctx, const store::Services& services,
                         std::string_view reference);

}  // namespace castore::transfer
