// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "base/context.h"
#include "base/result.h"
#include "model/node.h"
#include "store/directory_service.h"
#include "store/path_info_service.h"

namespace castore::fs {

// What a tree is made of, judged by its upper folders.
struct ContentProfile {
  uint64_t files = 0;
  uint64_t bytes = 0;

  // Whether files are so large on average that reading them costs more than opening them.
  bool few_large_files() const;
};

// Looks at trees from the top, breadth first, for a few thousand entries at most and as long as
// `ctx` allows, so that it takes milliseconds however large the trees are. Folders that cannot be
// read are passed over.
ContentProfile profile_content(const Context& ctx, store::DirectoryService& directories,
                               std::span<const Node> tops);

// The same of what is registered, or of a part of it. Where there is so much that even listing it
// takes longer than `ctx` allows, nothing is found.
ContentProfile profile_paths(const Context& ctx, store::PathInfoService& path_infos,
                             store::DirectoryService& directories);

}  // namespace castore::fs
