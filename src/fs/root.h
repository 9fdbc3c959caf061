// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/result.h"
#include "model/directory.h"
#include "model/node.h"
#include "store/path_info_service.h"

namespace castore::fs {

// What stands in the root folder of a mount. Any method, any thread; they wait as services do, and
// not at all where `ctx.may_wait` says so.
class RootProvider {
 public:
  virtual ~RootProvider() = default;

  // Nothing when there is no entry of that name.
  virtual Result<std::optional<Node>> lookup(const Context& ctx, std::string_view name) = 0;

  // All names, sorted bytewise.
  virtual Result<std::vector<NamedNode>> list(const Context& ctx) = 0;

  // The whole root, where it is one directory that never changes: it is then served from there,
  // without a copy for each listing. Null where names come and go.
  virtual std::shared_ptr<const Directory> fixed() { return nullptr; }
};

// All registered store paths by base name. New registrations show at once. A path whose record is
// damaged is left out of listings, which the log says, and is an error when it is looked up.
std::shared_ptr<RootProvider> path_info_root(std::shared_ptr<store::PathInfoService> path_infos);

// The entries of one directory.
std::shared_ptr<RootProvider> directory_root(std::shared_ptr<const Directory> directory);

// A fixed set of names.
std::shared_ptr<RootProvider> map_root(std::map<std::string, Node> nodes);

}  // namespace castore::fs
