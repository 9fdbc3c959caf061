// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <optional>
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

  void report(FindingKind kind, std::string object, std::string detail,
              std::optional<store::ObjectName> forgettable = std::nullopt) {
    // The lock is what makes it one call at a time.
    auto objects = objects_.lock();
    if (!objects->insert(object).second) return;
    on_finding_({kind, std::move(object), std::move(detail), std::move(forgettable)});
  }

  // Reports the error of reading an object, if it is about this object alone: the rest can be
  // looked at. Else gives it back.
  Result<void> report_error(std::string object, Error error,
                            std::optional<store::ObjectName> forgettable = std::nullopt) {
    switch (error.kind()) {
      case ErrorKind::kCorrupt:
        report(FindingKind::kCorrupt, std::move(object), error.message(), std::move(forgettable));
        return {};
      case ErrorKind::kNotFound:
      case ErrorKind::kDenied:
      case ErrorKind::kInvalidArgument:
      case ErrorKind::kUnsupported:
      case ErrorKind::kInternal:
        report(FindingKind::kUnreadable, std::move(object), error.message(),
               std::move(forgettable));
        return {};
      case ErrorKind::kUnavailable:
      case ErrorKind::kExhausted:
      case ErrorKind::kWouldWait:
      case ErrorKind::kCancelled:
        break;
    }
    return std::unexpected(std::move(error).context("checking " + object));
  }

  bool none() { return objects_.lock()->empty(); }

 private:
  const OnFinding& on_finding_;
  Guarded<std::unordered_set<std::string>> objects_;  // reported
};

}  // namespace castore::transfer
