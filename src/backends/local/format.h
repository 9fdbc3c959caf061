// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "backends/local/local_store.h"
#include "base/result.h"

namespace castore::backends::local {

// Makes sure that `folder` is a store of a format this build knows, making an empty one where
// `mode` allows. kUnsupported for a newer format and for a folder that holds something else;
// kNotFound for none with OpenMode::kExisting.
Result<void> prepare_folder(const std::string& folder, OpenMode mode);

}  // namespace castore::backends::local
