// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "backends/local/local_store.h"
#include "base/result.h"

namespace castore::backends::local {

// "/store" of "/store/" and "/store/.": the folder itself, so that what is before the last slash is
// the folder it is in.
std::string without_trailing_slashes(std::string folder);

// Makes sure that `folder` is a store of a format this build knows, making an empty one where
// `mode` allows; one process at a time does so. kUnsupported for a newer format and for a folder
// that holds something else; kNotFound for none, or one whose making was cut off, with
// OpenMode::kExisting; kCorrupt where objects
// are, and no database.
Result<void> prepare_folder(const std::string& folder, OpenMode mode);

std::string database_path(const std::string& store_folder);

}  // namespace castore::backends::local
