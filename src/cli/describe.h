// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/context.h"
#include "base/result.h"
#include "cli/json.h"
#include "cli/output.h"
#include "model/directory.h"
#include "model/node.h"
#include "nix/path_info.h"
#include "store/services.h"
#include "transfer/tally.h"

// What several commands say about nodes and paths.
namespace castore::cli {

// "kind", "digest" and "size", and "executable" or "target" where they apply.
void put_node(JsonObject& object, const Node& node);

// "path", the node's fields, "nar_sha256" and "nar_size".
void put_path_info(JsonObject& object, const nix::PathInfo& info);

// "blobs_new", "bytes_new" and "blobs_reused".
void put_tally(JsonObject& object, const transfer::Tally& tally);

// "directory blake3-... 12", "file blake3-... 5 executable" or "symlink -> target".
std::string node_line(const Node& node, const Output& output);

// "dr-xr-xr-x" and the like, as a mount shows it.
std::string_view mode_text(NodeKind kind, bool executable);

// A directory that something refers to: its absence is damage. `place` is where it stands, for the
// message.
Result<std::shared_ptr<const Directory>> get_directory(const Context& ctx,
                                                       const store::Services& services,
                                                       const Digest& digest,
                                                       std::string_view place);

}  // namespace castore::cli
