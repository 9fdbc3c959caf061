// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>

#include "store/services.h"

namespace castore::backends {

// Services that keep everything in memory and lose it with the process: for tests, and for what
// `memory://` names. Never out of room before the machine is.
std::shared_ptr<store::BlobService> memory_blob_service();
std::shared_ptr<store::DirectoryService> memory_directory_service();
std::shared_ptr<store::PathInfoService> memory_path_info_service();

// All three, without an import cache.
store::Services memory_services();

}  // namespace castore::backends
