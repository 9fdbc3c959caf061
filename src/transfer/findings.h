// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <unordered_set>
#include <utility>

#include "base/guarded.h"
#include "transfer/verify.h"

namespace castore::transfer {

// What a check found so far, passed on as it comes: each object once. Any thread.
class Findings {
 public:
  // `on_finding` must live as long.
  explicit Findings(const OnFinding& on_finding) : on_finding_(on_finding) {}

  void report(FindingKind kind, std::string object, std::string detail) {
    // The lock is what makes it one call at a time.
    auto objects = objects_.lock();
    if (!objects->insert(object).second) return;
    on_finding_({kind, std::move(object), std::move(detail)});
  }

  bool none() { return objects_.lock()->empty(); }

 private:
  const OnFinding& on_finding_;
  Guarded<std::unordered_set<std::string>> objects_;  // reported
};

}  // namespace castore::transfer
