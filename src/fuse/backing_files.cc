// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/backing_files.h"

#include <spdlog/spdlog.h>

namespace castore::fuse {

std::optional<int32_t> BackingFiles::opened(fs::NodeId node,
                                            const std::optional<fs::BackingFile>& file) {
  std::string first_refusal;
  int32_t id = 0;
  {
    auto state = state_.lock();
    Node& opened = state->nodes[node];
    if (opened.opens++ == 0 && file) {
      auto added = registry_.add(*file);
      if (added) {
        opened.id = *added;
        ++state->counts.nodes;
      } else if (state->counts.refusal.empty()) {
        first_refusal = state->counts.refusal = added.error().message();
      }
    }
    id = opened.id;
    if (id != 0) ++state->counts.opens;
  }
  if (!first_refusal.empty()) spdlog::warn("files are read through this server: {}", first_refusal);
  if (id == 0) return std::nullopt;
  return id;
}

void BackingFiles::closed(fs::NodeId node) {
  auto state = state_.lock();
  auto found = state->nodes.find(node);
  if (found == state->nodes.end() || --found->second.opens > 0) return;
  if (found->second.id != 0) {
    registry_.remove(found->second.id);
    --state->counts.nodes;
  }
  state->nodes.erase(found);
}

BackingFiles::Counts BackingFiles::counts() {
  return state_.lock()->counts;
}

}  // namespace castore::fuse
