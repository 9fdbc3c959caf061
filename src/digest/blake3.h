// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <blake3.h>

#include "base/bytes.h"
#include "base/thread_pool.h"
#include "digest/digest.h"

namespace castore {

// Hashes a stream with BLAKE3 (default mode, 32 bytes of output). One thread at a time.
class Blake3Hasher {
 public:
  Blake3Hasher();

  void update(ByteView bytes);

  // The same as `update`, with the work spread over `pool` and the calling thread. Pays from a few
  // MiB a call on; best when calls are multiples of 1 MiB. Not to be called from a task of `pool`.
  void update_parallel(ByteView bytes, ThreadPool& pool);

  // The digest of everything so far; hashing may go on.
  Digest finish() const;

 private:
  struct Subtree;

  void push_chaining_value(const uint8_t* value, uint64_t chunk_counter);

  blake3_hasher state_;
  uint64_t bytes_hashed_ = 0;
};

Digest blake3(ByteView bytes);
inline Digest blake3(std::string_view text) {
  return blake3(bytes_of(text));
}

}  // namespace castore
