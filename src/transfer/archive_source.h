// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/bytes.h"
#include "base/context.h"
#include "base/result.h"
#include "store/services.h"
#include "transfer/ingest.h"
#include "transfer/tally.h"

// What ingest_archive does, for archives that are not behind a descriptor. Internal to transfer/
// and for fuzzing.
namespace castore::transfer {

// Gives the bytes of an archive in order, some of them at each call; none at the end.
using ArchiveBytes = std::function<Result<size_t>(MutableByteView out)>;

// Bounds for archives from strangers: a kilobyte can unpack to exabytes.
struct ArchiveLimits {
  uint64_t unpacked_bytes_max = UINT64_MAX;  // of the archive once it is decompressed
  uint64_t content_bytes_max = UINT64_MAX;   // of all files together
};

Result<Ingested> ingest_archive_bytes(const Context& ctx, const store::Services& services,
                                      const ArchiveBytes& bytes, std::string_view name,
                                      ArchiveRoot archive_root, const IngestOptions& options,
                                      const ArchiveLimits& limits, Tally& tally);

}  // namespace castore::transfer
