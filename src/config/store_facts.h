// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "backends/local/local_store.h"
#include "base/result.h"

namespace castore::config {

using StoreFacts = backends::LocalStoreFacts;

// What is in the store folder. kNotFound when there is no store.
Result<StoreFacts> store_facts(const std::string& store_folder);

}  // namespace castore::config
