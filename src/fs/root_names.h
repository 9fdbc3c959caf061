// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/guarded.h"
#include "fs/filesystem.h"

namespace castore::fs {

// Which file and symlink nodes the names in the root were given to. It makes a name keep its node
// for as long as the kernel holds that, though its provider may say something else meanwhile.
// (A directory in the root is found by its place in the inode table.) Any method, any thread.
class RootNames {
 public:
  std::optional<NodeId> find(std::string_view name);

  // Gives the name to `node`, replacing what it was given to before.
  void remember(std::string_view name, NodeId node);

  // When a node is gone.
  void forget(NodeId node);

  size_t count();

 private:
  // Ordered, as the names are chosen by strangers.
  using ByName = std::map<std::string, NodeId, std::less<>>;
  struct State {
    ByName by_name;
    std::multimap<NodeId, ByName::iterator> by_node;
  };
  static void unlink(State& state, ByName::iterator place);

  Guarded<State> state_;
};

}  // namespace castore::fs
