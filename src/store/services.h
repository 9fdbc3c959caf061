// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>

#include "store/blob_service.h"
#include "store/directory_service.h"
#include "store/import_cache.h"
#include "store/path_info_service.h"
#include "store/upkeep.h"

namespace castore::store {

// The services one command or daemon works with. None is null but, possibly, cache and upkeep.
struct Services {
  std::shared_ptr<BlobService> blobs;
  std::shared_ptr<DirectoryService> directories;
  std::shared_ptr<PathInfoService> path_infos;
  std::shared_ptr<ImportCache> import_cache;  // null: every import reads everything
  std::shared_ptr<Upkeep> upkeep;             // null: nobody can repair these

  // Makes blobs and directories durable.
  Result<void> sync(const Context& ctx) const;
};

}  // namespace castore::store
