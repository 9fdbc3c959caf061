// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <vector>

#include "store/testing/store_factory.h"

namespace castore::store::testing {

// Every implementation there is, one row each.
std::vector<StoreFactory> all_stores();

}  // namespace castore::store::testing
