// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/statistics.h"

#include <algorithm>
#include <bit>

namespace castore::fuse {
namespace {

constexpr uint64_t kFirst_ns = 256;

// Threads take shards in turn.
size_t own_shard() {
  static std::atomic<size_t> given = 0;
  thread_local const size_t own = given.fetch_add(1, std::memory_order_relaxed);
  return own;
}

}  // namespace

std::string_view name_of(abi::Opcode opcode) {
  switch (opcode) {
    case abi::Opcode::kLookup:
      return "LOOKUP";
    case abi::Opcode::kForget:
      return "FORGET";
    case abi::Opcode::kGetattr:
      return "GETATTR";
    case abi::Opcode::kReadlink:
      return "READLINK";
    case abi::Opcode::kOpen:
      return "OPEN";
    case abi::Opcode::kRead:
      return "READ";
    case abi::Opcode::kStatfs:
      return "STATFS";
    case abi::Opcode::kRelease:
      return "RELEASE";
    case abi::Opcode::kGetxattr:
      return "GETXATTR";
    case abi::Opcode::kListxattr:
      return "LISTXATTR";
    case abi::Opcode::kInit:
      return "INIT";
    case abi::Opcode::kOpendir:
      return "OPENDIR";
    case abi::Opcode::kReaddir:
      return "READDIR";
    case abi::Opcode::kReleasedir:
      return "RELEASEDIR";
    case abi::Opcode::kInterrupt:
      return "INTERRUPT";
    case abi::Opcode::kDestroy:
      return "DESTROY";
    case abi::Opcode::kIoctl:
      return "IOCTL";
    case abi::Opcode::kBatchForget:
      return "BATCH_FORGET";
    case abi::Opcode::kReaddirplus:
      return "READDIRPLUS";
    case abi::Opcode::kLseek:
      return "LSEEK";
    default:
      return "OTHER";
  }
}

size_t Statistics::bucket_of(std::chrono::nanoseconds took) {
  auto ns = static_cast<uint64_t>(std::max<int64_t>(took.count(), 0));
  if (ns < kFirst_ns) return 0;
  // The two bits below the highest one choose a quarter.
  auto doubling = static_cast<size_t>(std::bit_width(ns)) - 1;
  size_t quarter = (ns >> (doubling - 2)) & 3;
  size_t bucket = (doubling - 8) * 4 + quarter + 1;
  return std::min(bucket, kBuckets - 1);
}

std::chrono::nanoseconds Statistics::end_of(size_t bucket) {
  uint64_t doubling = bucket / 4;
  uint64_t quarter = bucket % 4;
  return std::chrono::nanoseconds((kFirst_ns << doubling) +
                                  ((kFirst_ns << doubling) / 4) * quarter);
}

void Statistics::add(abi::Opcode opcode, std::chrono::nanoseconds took, bool failed, size_t bytes) {
  auto number = static_cast<size_t>(opcode);
  Counters& counters = shards_[own_shard() % kShards].operations[number < kOpcodes ? number : 0];
  counters.by_time[bucket_of(took)].fetch_add(1, std::memory_order_relaxed);
  if (failed) counters.errors.fetch_add(1, std::memory_order_relaxed);
  if (bytes > 0) counters.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

std::vector<Statistics::Operation> Statistics::report() const {
  std::vector<Operation> operations;
  for (size_t number = 0; number < kOpcodes; ++number) {
    Operation operation{.opcode = static_cast<abi::Opcode>(number)};
    std::array<uint64_t, kBuckets> by_time{};
    for (const Shard& shard : shards_) {
      const Counters& counters = shard.operations[number];
      operation.errors += counters.errors.load(std::memory_order_relaxed);
      operation.bytes += counters.bytes.load(std::memory_order_relaxed);
      for (size_t b = 0; b < kBuckets; ++b)
        by_time[b] += counters.by_time[b].load(std::memory_order_relaxed);
    }
    for (uint64_t count : by_time) operation.count += count;
    if (operation.count == 0) continue;
    auto percentile = [&](uint64_t percent) {
      uint64_t rank = (operation.count * percent + 99) / 100;
      size_t b = 0;
      for (uint64_t seen = by_time[0]; seen < rank; seen += by_time[++b]) {
      }
      return end_of(b);
    };
    operation.p50 = percentile(50);
    operation.p99 = percentile(99);
    operations.push_back(operation);
  }
  return operations;
}

}  // namespace castore::fuse
