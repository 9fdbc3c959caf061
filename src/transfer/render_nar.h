// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "base/context.h"
#include "base/result.h"
#include "model/node.h"
#include "nix/nar_writer.h"
#include "store/services.h"

namespace castore::transfer {

// Writes the NAR of a stored tree. Missing objects are kNotFound, and a blob whose length differs
// from its node's size kCorrupt, each naming object and path; what was written by then stays
// written. Iterative: any depth up to kTreeDepthMax.
Result<void> render_nar(const Context& ctx, const store::Services& services, const Node& root,
                        nix::NarSink& sink);

// Size and hash of that NAR.
Result<store::NarSummary> summarize_nar(const Context& ctx, const store::Services& services,
                                        const Node& root);

}  // namespace castore::transfer
