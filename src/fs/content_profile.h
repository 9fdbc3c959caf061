// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>

#include "base/context.h"
#include "base/result.h"
#include "model/directory.h"
#include "store/directory_service.h"

namespace castore::fs {

// What a tree is made of, judged by its upper folders.
struct ContentProfile {
  uint64_t files = 0;
  uint64_t bytes = 0;

  // Whether files are so large on average that reading them costs more than opening them.
  bool few_large_files() const;
};

// Looks at a tree from the top, breadth first, for a few thousand entries at most, so that it takes
// milliseconds however large the tree is. Folders that cannot be read are passed over.
ContentProfile profile_content(const Context& ctx, store::DirectoryService& directories,
                               const Directory& top);

}  // namespace castore::fs
