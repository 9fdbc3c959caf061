// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backends/local/blob_files.h"
#include "backends/local/database.h"
#include "backends/local/pack_files.h"
#include "base/bytes.h"
#include "base/guarded.h"
#include "base/result.h"
#include "digest/digest.h"

namespace castore::backends::local {

// A large blob whose content is complete and whose name is not there yet.
struct FinishedFile {
  UnnamedFile file;
  uint64_t size = 0;
};

// A small blob or a directory on its way: its bytes until they are in a pack, then their place.
struct PendingObject {
  Bytes bytes;
  std::optional<ObjectRecord> place;
};

// Objects on their way to disk.
//
// Problem: making each object durable alone costs a disk flush each; not doing so loses them.
// Idea: a thread of the store writes objects to a pack as they come, which needs no flush and keeps
// memory small; what the database will say about them gathers in a batch. A batch is written with
// one flush of the pack and of the large files, and then to the database, while the next one
// gathers. `sync` waits until everything before it is written. Until then lookups find the objects
// here.
//
// A batch that cannot be written (disk full) stays here and is tried again by the next `sync`;
// meanwhile `add` refuses more than one batch's worth. But a failed flush is the end: what is on
// disk is unknown then, and what comes later may refer to it. All that is pending is given up, and
// every call from then on fails with the error.
class WriteQueue {
 public:
  using File = std::shared_ptr<const FinishedFile>;

  WriteQueue(Database& database, const BlobFiles& files, PackWriter packs, const Tuning& tuning);
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  // Writes what is pending. A failure is logged, unless it is one that a caller knows of.
  ~WriteQueue();

  // Each waits while too much is pending. False: it was pending already.
  Result<bool> add_blob(const Digest& digest, Bytes bytes);
  Result<bool> add_file(const Digest& digest, FinishedFile file);
  Result<bool> add_directory(const Digest& digest, Bytes encoded);
  // Written whatever was there. Not found by lookups until written.
  Result<void> add_record(Table table, std::string key, std::string value);

  // What is pending and not in the database yet.
  bool has_blob(const Digest& digest);
  bool has_directory(const Digest& digest);
  std::optional<PendingObject> find_blob(const Digest& digest);
  std::optional<File> find_file(const Digest& digest);
  std::optional<PendingObject> find_directory(const Digest& digest);

  // Returns when everything added before the call is on disk.
  Result<void> sync();

 private:
  struct Record {
    Table table;
    std::string key;
    std::string value;
  };

  // Objects in the order of arrival, found by digest.
  template <typename Object>
  class Objects {
   public:
    // False when the digest is there already.
    bool add(const Digest& digest, Object object) {
      if (!index_.try_emplace(digest, items_.size()).second) return false;
      items_.emplace_back(digest, std::move(object));
      return true;
    }
    const Object* find(const Digest& digest) const {
      auto found = index_.find(digest);
      return found == index_.end() ? nullptr : &items_[found->second].second;
    }
    const std::vector<std::pair<Digest, Object>>& items() const { return items_; }
    Object& at(size_t i) { return items_[i].second; }

    size_t packed_count = 0;  // that many of the first are in a pack

   private:
    std::vector<std::pair<Digest, Object>> items_;
    std::unordered_map<Digest, size_t> index_;
  };
  struct Batch {
    Objects<PendingObject> blobs;
    Objects<File> files;
    Objects<PendingObject> directories;  // children before their parents
    std::vector<Record> records;
    uint64_t unpacked_bytes = 0;  // of blobs and directories that are not in a pack yet
    uint64_t packed_bytes = 0;    // of those that are
    uint64_t other_bytes = 0;     // memory of all the rest

    size_t object_count() const;
    // Adds what came after this batch.
    void append(const Batch& later);
  };

  struct State {
    std::unique_ptr<Batch> gathering = std::make_unique<Batch>();
    std::unique_ptr<Batch> writing;  // by the thread now; null: none
    uint64_t batches_begun = 0;
    uint64_t batches_done = 0;
    bool sync_wanted = false;
    bool closed = false;
    std::optional<Error> failure;  // of the newest batch
    bool told = false;             // a caller has got a failure, and no batch was written since
    bool broken = false;           // by a failed flush, for good
  };
  using Handle = Guarded<State>::Handle;

  bool is_full(const Batch& batch) const;
  bool has_room(const State& state) const;
  Result<void> wait_for_room(Handle& state);
  static std::unexpected<Error> tell(State& state);
  template <typename Object>
  Result<bool> add(Objects<Object> Batch::* list, const Digest& digest, Object object,
                   uint64_t unpacked_bytes, uint64_t other_bytes);
  template <typename Object>
  std::optional<Object> find(Objects<Object> Batch::* list, const Digest& digest);
  void count(Batch& batch, uint64_t unpacked_bytes, uint64_t other_bytes);
  bool has_work(const State& state) const;
  void run();
  Result<void> pack(Batch& batch);
  Result<void> pack(Batch& batch, PackOf kind, Objects<PendingObject>& objects);
  Result<void> write(Batch& batch, bool& is_unknown);
  Result<void> index(Batch& batch, bool& is_unknown);
  Result<void> commit(Database::Writer& writer, bool& is_unknown);

  Database& database_;
  const BlobFiles& files_;
  PackWriter packs_;  // used by the thread only
  const Tuning tuning_;
  Guarded<State> state_;
  std::condition_variable work_;
  std::condition_variable progress_;
  std::thread thread_;
};

}  // namespace castore::backends::local
