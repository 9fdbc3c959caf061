// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/context.h"
#include "base/result.h"
#include "digest/digest.h"
#include "digest/sha256.h"
#include "model/node.h"

namespace castore::store {

// What tells whether a source file is still the one that was read: as `git` and `restic` do, by
// place and time stamps.
struct SourceStamp {
  uint64_t filesystem =
      0;  // its own number (f_fsid), since that of a device may be another's later
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;

  friend bool operator==(const SourceStamp&, const SourceStamp&) = default;
};

struct NarSummary {
  uint64_t size = 0;
  Sha256 sha256{};

  friend bool operator==(const NarSummary&, const NarSummary&) = default;
};

// Remembers what imports computed, so that importing an unchanged tree again reads no file: the
// digest of each source file by its stamp, and the NAR hash of each imported root.
//
// It is a cache: an entry may be missing at any time, and losing all of it costs time only. A
// remembered digest says nothing about whether a store has the blob.
//
//   Threads     any method, any thread.
//   Durability  none is promised.
class ImportCache {
 public:
  virtual ~ImportCache() = default;

  virtual Result<std::optional<Digest>> find_source(const Context& ctx,
                                                    const SourceStamp& stamp) = 0;
  virtual Result<void> remember_source(const Context& ctx, const SourceStamp& stamp,
                                       const Digest& digest) = 0;

  virtual Result<std::optional<NarSummary>> find_nar(const Context& ctx, const Node& root) = 0;
  virtual Result<void> remember_nar(const Context& ctx, const Node& root,
                                    const NarSummary& summary) = 0;
};

}  // namespace castore::store
