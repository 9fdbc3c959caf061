// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/services.h"

namespace castore::store {

Result<void> Services::sync(const Context& ctx) const {
  CASTORE_TRY(blobs->sync(ctx));
  return directories->sync(ctx);
}

}  // namespace castore::store
