// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/testing/path_info_service_suite.h"
#include "stores.h"

namespace castore::store::testing {

INSTANTIATE_TEST_SUITE_P(All, PathInfoServiceSuite, ::testing::ValuesIn(all_stores()),
                         factory_name);

}  // namespace castore::store::testing
