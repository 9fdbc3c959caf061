// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "base/context.h"
#include "base/result.h"
#include "model/node.h"
#include "store/services.h"

namespace castore::transfer {

// Size and hash of the NAR of a stored tree: as remembered from an earlier import, else computed
// from the store, and remembered. Internal to transfer/.
Result<store::NarSummary> recall_nar(const Context& ctx, const store::Services& services,
                                     const Node& root);

}  // namespace castore::transfer
