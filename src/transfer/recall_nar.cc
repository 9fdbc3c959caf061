// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/recall_nar.h"

#include "transfer/render_nar.h"

namespace castore::transfer {

Result<store::NarSummary> recall_nar(const Context& ctx, const store::Services& services,
                                     const Node& root) {
  if (services.import_cache)
    if (auto nar = CASTORE_TRY(services.import_cache->find_nar(ctx, root))) return *nar;
  auto nar = CASTORE_TRY_WHILE(summarize_nar(ctx, services, root), "computing the NAR hash");
  if (services.import_cache) CASTORE_TRY(services.import_cache->remember_nar(ctx, root, nar));
  return nar;
}

}  // namespace castore::transfer
