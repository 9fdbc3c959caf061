// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/context.h"
#include "base/result.h"

namespace castore::backends {

// How many bytes the files of large blobs have together in the store `folder`. Looks at each file's
// status, and so takes seconds where there are hundreds of thousands; `ctx` ends it before.
Result<uint64_t> large_blob_bytes(const Context& ctx, const std::string& folder);

}  // namespace castore::backends
