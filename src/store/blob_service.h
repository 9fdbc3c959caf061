// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/context.h"
#include "base/result.h"
#include "digest/digest.h"

namespace castore::store {

// Reads one blob. `read_at` may be called from several threads at once.
class BlobReader {
 public:
  virtual ~BlobReader() = default;

  virtual uint64_t size() const = 0;

  // Fills `out` from `offset` and gives the number of bytes written to it, which is less than
  // `out.size()` only at the end of the blob; 0 at and beyond it. May wait as `open` may.
  virtual Result<size_t> read_at(const Context& ctx, uint64_t offset, MutableByteView out) = 0;

  // The whole blob when it is in memory already (small blobs), else nothing.
  virtual std::optional<Bytes> in_memory() { return std::nullopt; }

  // An open file whose bytes are exactly the blob's, for the kernel to read by itself; valid while
  // the reader lives. Nothing where there is no such file.
  virtual std::optional<int> file() const { return std::nullopt; }

  // Whether the bytes were compared with the digest before this reader was given out. Where they
  // were not (a large file on the local disk), whoever reads the whole blob compares.
  virtual bool verified() const = 0;
};

// What storing did.
struct StoredBlob {
  Digest digest;
  uint64_t size = 0;
  bool is_new = false;  // false: the service had it already
};

// Writes one blob of any size. Nothing is visible before `commit`; a writer destroyed without it
// leaves no trace. One thread at a time.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;

  virtual Result<void> append(ByteView bytes) = 0;

  // Takes over the content of an open file by sharing its blocks, where the service's disk can do
  // that. Before any `append`. Gives a descriptor of the shared content, open as long as the
  // writer: the caller appends exactly what it reads there, which is hashed and not written again.
  // Nothing: not possible, go on as if it had not been asked.
  virtual Result<std::optional<int>> share_blocks_of(int /*source_fd*/) { return std::nullopt; }

  // Makes the blob visible and gives its digest. Called once, last.
  virtual Result<StoredBlob> commit() = 0;
};

// A BlobService keeps byte strings and gives them back by the BLAKE3 digest of their bytes.
//
// Equal blobs are one blob and nothing is ever overwritten, so readers and writers never wait for
// each other. What `open` returned stays readable until it is destroyed.
//
//   Threads     any method, any thread, at the same time.
//   Blocking    any method may wait for a disk or a network, at most until `ctx.deadline`. With
//               `ctx.may_wait` false, `has`, `open` and a reader's `read_at` do not wait for more
//               than a local disk: they fail with kWouldWait instead.
//   Absence     is an answer, not an error: `has` says false, `open` gives a null reader. The empty
//               blob is always there.
//   Durability  a stored blob is visible to this service's readers at once. It survives a crash of
//               the process or the machine only after a `sync` that began later; until then it is
//               whole or absent, never damaged.
//   Errors      kCorrupt: stored bytes do not match their digest. kUnavailable: trying again may
//               help. kExhausted: no room, nothing was stored.
//   Proof       every implementation passes store/testing/blob_service_suite.h.
class BlobService {
 public:
  virtual ~BlobService() = default;

  // Whether `open` would find the blob now. Transfers none of its bytes.
  virtual Result<bool> has(const Context& ctx, const Digest& digest) = 0;

  // Opens a blob, or gives null if this service does not have it.
  virtual Result<std::unique_ptr<BlobReader>> open(const Context& ctx, const Digest& digest) = 0;

  // Stores a blob that is in memory. `digest` must be the BLAKE3 of `bytes`: the caller has just
  // computed it. The bytes are shared, not copied.
  virtual Result<StoredBlob> put(const Context& ctx, const Digest& digest, Bytes bytes) = 0;

  // Begins a new blob of a size and digest not known yet.
  virtual Result<std::unique_ptr<BlobWriter>> create(const Context& ctx) = 0;

  // Makes durable everything stored before the call.
  virtual Result<void> sync(const Context& ctx) = 0;

  // Calls `visit` once for each stored blob, in no particular order, until it gives an error, which
  // is passed on. Blobs stored meanwhile may be missed.
  using Visitor = std::function<Result<void>(const Digest& digest, uint64_t size)>;
  virtual Result<void> list(const Context& ctx, const Visitor& visit) = 0;
};

// The whole of a blob of at most `size_max` bytes, verified; null-optional when absent, kExhausted
// when it is larger.
Result<std::optional<Bytes>> read_blob(const Context& ctx, BlobService& blobs, const Digest& digest,
                                       uint64_t size_max);

// Hands the bytes of a blob to `consume` in order, in steps of at most 1 MiB, and compares the
// digest at the end (kCorrupt) where the reader did not. False when the blob is absent.
Result<bool> stream_blob(const Context& ctx, BlobService& blobs, const Digest& digest,
                         const std::function<Result<void>(ByteView)>& consume);

}  // namespace castore::store
