// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/guarded.h"
#include "fs/filesystem.h"
#include "fs/root_listing.h"

namespace castore::fs {

struct OpenDirectory {
  NodeId node = 0;
  std::shared_ptr<const RootListing> root;  // null but for the root
};

// What handles stand for. An entry found stays usable after its handle is released by another
// thread. Any method, any thread.
template <typename T>
class HandleTable {
 public:
  // Tables that share `last_id` never give the same handle.
  explicit HandleTable(std::atomic<HandleId>& last_id) : last_id_(last_id) {}

  HandleId add(std::shared_ptr<T> value) {
    HandleId id = ++last_id_;
    values_.lock()->emplace(id, std::move(value));
    count_.fetch_add(1, std::memory_order_relaxed);
    return id;
  }

  // Null when unknown.
  std::shared_ptr<T> find(HandleId id) {
    auto values = values_.lock();
    auto found = values->find(id);
    return found == values->end() ? nullptr : found->second;
  }

  // Gives what the handle stood for, so that it is closed without the lock. Null when unknown.
  std::shared_ptr<T> remove(HandleId id) {
    auto values = values_.lock();
    auto node = values->extract(id);
    if (node.empty()) return nullptr;
    count_.fetch_sub(1, std::memory_order_relaxed);
    return std::move(node.mapped());
  }

  size_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<HandleId>& last_id_;
  std::atomic<size_t> count_ = 0;
  Guarded<std::unordered_map<HandleId, std::shared_ptr<T>>> values_;
};

}  // namespace castore::fs
