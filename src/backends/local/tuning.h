// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "backends/local/disk.h"

namespace castore::backends::local {

// Sizes at which the store's writer goes on to its next step. Tests make them small, so that every
// seam between two steps is passed within a few objects.
struct Tuning {
  // A pack is left for the next one when it has grown to this.
  uint64_t pack_bytes_max = uint64_t{1} << 30;

  // Objects go to their pack when this much has come; twice that is the most that waits.
  uint64_t pack_step_bytes = 4 << 20;

  // A batch is written when it holds this much memory besides unpacked objects, or this much in
  // packs, or so many open files. Larger batches flush the disk less often and touch each page of
  // the index less often. The limit of what is in packs bounds what a killed process leaves behind.
  uint64_t batch_memory_bytes = 24 << 20;
  uint64_t batch_packed_bytes = 256 << 20;
  size_t batch_files = 64;

  // A transaction keeps the pages it changes in memory, and the pages it replaces are free only
  // after it; digests being random, each insertion changes another page of a large index. So a
  // batch goes to the database in transactions of this many insertions.
  size_t transaction_inserts = 16 * 1024;

  // Whether large blobs are written to files without a name, where the filesystem has them.
  bool unnamed_files = true;

  std::shared_ptr<Disk> disk = std::make_shared<Disk>();
};

}  // namespace castore::backends::local
