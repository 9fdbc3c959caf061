// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "fuse/abi.h"

namespace castore::fuse {

// The name of an operation, as "LOOKUP"; "OTHER" for numbers that are not known.
std::string_view name_of(abi::Opcode opcode);

// Counts requests and how long they took. Costs a few nanoseconds a request: the counters of
// different threads lie apart.
//
//   Threads  any method, any thread. What `report` sees of a request may be a part of it.
class Statistics {
 public:
  struct Operation {
    abi::Opcode opcode{};
    uint64_t count = 0;
    uint64_t errors = 0;
    uint64_t bytes = 0;  // of the answers' bodies
    // Not more than so many; at most a quarter too high.
    std::chrono::nanoseconds p50{};
    std::chrono::nanoseconds p99{};
  };

  void add(abi::Opcode opcode, std::chrono::nanoseconds took, bool failed, size_t bytes);

  // Operations that were asked for, in the order of their numbers.
  std::vector<Operation> report() const;

 private:
  static constexpr size_t kShards = 8;
  static constexpr size_t kOpcodes = 64;  // those above count as 0
  // Four steps for each doubling, from 256 ns to beyond a minute.
  static constexpr size_t kBuckets = 4 * 30;

  struct Counters {
    std::atomic<uint64_t> errors = 0;
    std::atomic<uint64_t> bytes = 0;
    std::array<std::atomic<uint64_t>, kBuckets> by_time{};
  };
  struct alignas(64) Shard {
    std::array<Counters, kOpcodes> operations;
  };

  static size_t bucket_of(std::chrono::nanoseconds took);
  static std::chrono::nanoseconds end_of(size_t bucket);

  std::array<Shard, kShards> shards_;
};

}  // namespace castore::fuse
