// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/context.h"
#include "base/result.h"
#include "model/node.h"
#include "store/services.h"
#include "transfer/tally.h"

namespace castore::transfer {

enum class FindingKind {
  kCorrupt,     // the bytes are not what the name says
  kMissing,     // something refers to it, and it is not there
  kMisnamed,    // whole, but kept under a name that is not its own
  kUnreadable,  // the store has it and cannot read it
};

std::string_view to_string(FindingKind kind);  // "corrupt", ...

struct Finding {
  FindingKind kind;
  std::string object;  // "blob blake3-...", "directory blake3-...", "path /nix/store/..."
  std::string detail;  // what is wrong, and for kMissing who refers to it
  // Set where it helps that the store forgets the object (store/upkeep.h) and gets it anew.
  std::optional<store::ObjectName> forgettable = {};
};

using OnFinding = std::function<void(const Finding& finding)>;  // one call at a time

// Re-reads and re-hashes everything in the store, checks that everything referred to is there, that
// recorded sizes fit, and that each registered path follows from its content (NAR hash and store
// path). True when nothing was found. An object that cannot be read is a finding. An error means
// that the check itself could not go on: it was stopped, the machine has no room, or the store
// gives no answers.
Result<bool> verify_store(const Context& ctx, const store::Services& services,
                          const OnFinding& on_finding, Tally& tally);

// The same for what is reachable from one node (`described` names it in findings).
Result<bool> verify_tree(const Context& ctx, const store::Services& services, const Node& root,
                         std::string_view described, const OnFinding& on_finding, Tally& tally);

// The same for one registered path.
Result<bool> verify_path(const Context& ctx, const store::Services& services,
                         const nix::PathInfo& info, const OnFinding& on_finding, Tally& tally);

}  // namespace castore::transfer
