// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "backends/local/local_store.h"
#include "base/result.h"
#include "base/unique_fd.h"

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

// Held, shared, by whoever may store something in the store, from before the first look at what is
// there; and exclusively by who takes something out. Until the descriptor is closed; who holds the
// lock can change it.
enum class StoreLock { kShared, kExclusive };
Result<UniqueFd> open_store_lock(const std::string& folder);
Result<void> lock_store(const UniqueFd& fd, StoreLock lock);  // waits

std::string database_path(const std::string& store_folder);

}  // namespace castore::backends::local
