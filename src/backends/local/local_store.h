// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "store/services.h"

namespace castore::backends {

namespace local {
struct LocalState;
struct Tuning;
}  // namespace local

inline constexpr uint32_t kLocalFormatVersion = 1;

// Blobs up to this size share pack files, larger ones have files of their own.
inline constexpr uint64_t kPackedBlobBytesMax = 256 * 1024;

// The one file in a store's folder that processes which only read the store write to: in it they
// take their places as readers of the database.
std::string reader_lock_path(const std::string& folder);

// The small file by which a store's folder is known for one. It is there as long as the store is.
std::string format_path(const std::string& folder);

struct LocalStoreFacts {
  std::string folder;
  uint32_t format_version = 0;
  uint64_t database_bytes = 0;      // on disk
  uint64_t database_bytes_max = 0;  // the size of the mapping
  uint64_t blobs = 0;
  uint64_t packs = 0;       // files that small blobs share
  uint64_t pack_bytes = 0;  // in use in them
  uint64_t directories = 0;
  uint64_t path_infos = 0;
  uint64_t disk_bytes_free = 0;
};

enum class OpenMode {
  kCreate,    // make the store when the folder is missing or empty
  kExisting,  // kNotFound when there is none. One that may not be written to is opened for reading
};

// A store in a folder on a local disk: one LMDB database for directories, path infos and the index
// of all blobs; pack files for small blobs; and a read-only file for each large blob.
// docs/formats/local-store.md has the layout, byte by byte.
//
// Several processes may use one store at once; writers take turns batch by batch. Writes are
// gathered and made durable in batches by a thread of the store; `sync` waits for it. A process or
// machine that dies leaves a store that opens, with everything an earlier `sync` covered.
//
//   Threads   any method, any thread. Not across fork(2): open after the last fork.
//   Errors    kUnsupported: a newer or foreign format. kExhausted: the disk or the map is full;
//             nothing that was there is lost. kDenied: no permission to the folder.
//   Lifetime  opening one folder twice in a process gives the same store. The services keep the
//             store alive; the last of them to go writes out what is pending.
class LocalStore {
 public:
  static Result<std::shared_ptr<LocalStore>> open(const std::string& folder, OpenMode mode);
  // With other sizes and another disk, for tests.
  static Result<std::shared_ptr<LocalStore>> open(const std::string& folder, OpenMode mode,
                                                  const local::Tuning& tuning);

  std::shared_ptr<store::BlobService> blobs();
  std::shared_ptr<store::DirectoryService> directories();
  std::shared_ptr<store::PathInfoService> path_infos();
  std::shared_ptr<store::ImportCache> import_cache();
  store::Services services();

  Result<LocalStoreFacts> facts();

 private:
  explicit LocalStore(std::shared_ptr<local::LocalState> state) : state_(std::move(state)) {}

  std::shared_ptr<local::LocalState> state_;
};

}  // namespace castore::backends
