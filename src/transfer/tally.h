// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace castore::transfer {

// Running counts of a long operation, for a progress display on another thread and for the summary
// at the end.
struct Tally {
  std::atomic<uint64_t> files{0};
  std::atomic<uint64_t> directories{0};
  std::atomic<uint64_t> symlinks{0};
  std::atomic<uint64_t> bytes{0};  // of file content
  std::atomic<uint64_t> blobs_new{0};
  std::atomic<uint64_t> bytes_new{0};
  std::atomic<uint64_t> blobs_reused{0};

  void count_blob(bool is_new, uint64_t size) {
    if (!is_new) {
      ++blobs_reused;
      return;
    }
    ++blobs_new;
    bytes_new += size;
  }
};

}  // namespace castore::transfer
