// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/root_names.h"

namespace castore::fs {

std::optional<NodeId> RootNames::find(std::string_view name) {
  auto state = state_.lock();
  auto place = state->by_name.find(name);
  if (place == state->by_name.end()) return std::nullopt;
  return place->second;
}

void RootNames::remember(std::string_view name, NodeId node) {
  auto state = state_.lock();
  auto [place, is_new] = state->by_name.try_emplace(std::string(name), node);
  if (!is_new) {
    if (place->second == node) return;
    unlink(*state, place);
    place->second = node;
  }
  state->by_node.emplace(node, place);
}

void RootNames::forget(NodeId node) {
  auto state = state_.lock();
  auto [first, last] = state->by_node.equal_range(node);
  for (auto link = first; link != last; ++link) state->by_name.erase(link->second);
  state->by_node.erase(first, last);
}

size_t RootNames::count() {
  return state_.lock()->by_name.size();
}

void RootNames::unlink(State& state, ByName::iterator place) {
  auto [first, last] = state.by_node.equal_range(place->second);
  for (auto link = first; link != last; ++link)
    if (link->second == place) {
      state.by_node.erase(link);
      return;
    }
}

}  // namespace castore::fs
