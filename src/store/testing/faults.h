// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/guarded.h"
#include "base/result.h"

namespace castore::store::testing {

// Counts calls by operation, and fails those a test asked to fail. Any thread.
template <typename Operation>
class Faults {
 public:
  // Fails the `call`-th call of `operation` from now on, counted from 1, once.
  void fail_call(Operation operation, uint64_t call, Error error) {
    auto state = state_.lock();
    state->once.insert_or_assign({operation, state->counts[operation] + call}, std::move(error));
  }

  // Fails each call of `operation` from now on, until `heal`.
  void fail_all(Operation operation, Error error) {
    state_.lock()->always.insert_or_assign(operation, std::move(error));
  }

  void heal() {
    auto state = state_.lock();
    state->once.clear();
    state->always.clear();
  }

  // Calls so far, failed ones included.
  uint64_t calls(Operation operation) { return state_.lock()->counts[operation]; }

  // For the service: counts one call, and gives the error it is to fail with, if any.
  Result<void> count(Operation operation) {
    auto state = state_.lock();
    uint64_t call = ++state->counts[operation];
    if (auto planned = state->once.extract({operation, call}))
      return std::unexpected(std::move(planned.mapped()));
    if (auto found = state->always.find(operation); found != state->always.end())
      return std::unexpected(found->second);
    return {};
  }

 private:
  struct State {
    std::map<Operation, uint64_t> counts;
    std::map<std::pair<Operation, uint64_t>, Error> once;
    std::map<Operation, Error> always;
  };

  Guarded<State> state_;
};

}  // namespace castore::store::testing
