// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/guarded.h"
#include "base/result.h"
#include "store/services.h"
#include "transfer/blob_streamer.h"
#include "transfer/source_item.h"
#include "transfer/tally.h"

namespace castore::transfer {

// Files up to this size are read in one piece, several at a time; larger ones are streamed.
inline constexpr uint64_t kFileInMemoryBytesMax = uint64_t{1} << 20;

// The time now by the clock that stamps files, in nanoseconds since 1970.
using FileClock = std::function<int64_t()>;
int64_t file_clock_now();

// Reads the files and symlinks of a source tree and stores the blobs.
//
// A file is read as one state of it: the attributes before and after must be the same. Files known
// from an earlier import by their stamp are not read, and not even opened.
//
//   Threads  `read` any; the rest one, which streams and finishes.
class SourceReader {
 public:
  SourceReader(const Context& ctx, const store::Services& services, Tally& tally,
               bool keep_contents, FileClock now = file_clock_now)
      : ctx_(ctx),
        services_(services),
        tally_(tally),
        now_(std::move(now)),
        keep_contents_(keep_contents) {}

  // Does what the item asks for: reads and stores a file, or finds that it is large; reads a
  // symlink. The error names the path.
  SourceOutcome read(const SourceItem& item);

  // Sees a file while it is streamed: first what it should be, then its contents piece by piece.
  struct StreamObserver {
    std::function<Result<void>(uint64_t size, bool executable)> begin;
    std::function<Result<void>(ByteView bytes)> contents;
  };

  // Stores a large file, whose size does not matter to memory.
  Result<FileNode> stream(const SourceItem& item, const StreamObserver& observer);

  // From now on nobody wants the contents of what is read.
  void drop_contents() { keep_contents_.store(false, std::memory_order_relaxed); }

  // Remembers what could not be while the import ran. Called when all is read.
  Result<void> finish();

 private:
  using Stamped = std::pair<store::SourceStamp, Digest>;

  Result<std::optional<StoredFile>> find_known(const SourceItem& item);
  Result<SourceOutcome> read_file(const SourceItem& item);
  Result<SourceOutcome> read_symlink(const SourceItem& item);
  Result<void> remember(const SourceItem& item, const struct stat& status, int64_t opened_ns,
                        const Digest& digest);

  const Context& ctx_;
  const store::Services& services_;
  Tally& tally_;
  const FileClock now_;
  std::atomic<bool> keep_contents_;
  Guarded<std::vector<Stamped>> linked_;  // files with several names, remembered at the end
  std::optional<BlobStreamer> streamer_;
};

}  // namespace castore::transfer
