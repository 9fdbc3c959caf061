// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace castore::backends::local {

// Bounds how much of the database's mapping counts as memory of a process that fills it. Digests
// are random, so that each lookup and insertion touches another page, and the kernel maps the 15
// around it as well: in the end the whole index counts, though it is the disk's cache and not ours.
//
//   Threads  any, at the same time.
class MappedPages {
 public:
  // The mapping of `bytes` bytes of the file `fd` in this process, found in /proc/self/maps. Where
  // it is not found nothing is ever given back.
  void find(int fd, uint64_t bytes);

  // The process writes, and so touches pages without end. Before, nothing is counted: a process
  // that only reads would fetch again and again what it just gave back.
  void begin_counting() { counting_.store(true, std::memory_order_relaxed); }

  // One lookup or insertion. Now and then what is mapped is given back: it stays in the cache of
  // the disk, and who reads it finds it again.
  void touch();

 private:
  void* start_ = nullptr;
  size_t bytes_ = 0;
  std::atomic<bool> counting_ = false;
  std::atomic<uint32_t> touches_ = 0;
};

}  // namespace castore::backends::local
