// SPDX-License-Identifier: MIT OR Apache-2.0
#include "config/store_facts.h"

namespace castore::config {

Result<StoreFacts> store_facts(const std::string& store_folder) {
  auto store = CASTORE_TRY(backends::LocalStore::open(store_folder, backends::OpenMode::kExisting));
  return store->facts();
}

}  // namespace castore::config
