// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "backends/local/local_store.h"
#include "base/result.h"

namespace castore::backends::local {

// Makes sure that `folder` is a store of a format this build knows, making an empty one where
// `mode` allows; one process at a time does so. kUnsupported for a newer format and for a folder
// that holds something else; kNotFound for none with OpenMode::kExisting; kCorrupt where objects
// are, and no database.
Result<void> prepare_folder(const std::string& folder, OpenMode mode);

std::string database_path(const std::string& store_folder);

}  // namespace castore::backends::local
