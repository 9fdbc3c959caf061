// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/context.h"
#include "base/result.h"
#include "digest/digest.h"
#include "model/directory.h"
#include "model/node.h"
#include "store/services.h"
#include "transfer/findings.h"
#include "transfer/tally.h"
#include "transfer/task_group.h"

namespace castore::transfer {

// The part of a check that is about blobs and directories: that each is there, is what its digest
// says, and has the size that is recorded for it. Looks at each object once, whoever refers to it
// and however often.
//
// The directories are walked by the caller's thread, which is little work; blobs are read and
// hashed by the tasks. One thread at a time; an error means that the check cannot go on.
//
//   Memory  some 72 bytes for each object seen, and the directories on the way to the current one.
class TreeCheck {
 public:
  // All must live until the tasks are finished.
  TreeCheck(const Context& ctx, const store::Services& services, Findings& findings, Tally& tally,
            TaskGroup& tasks)
      : ctx_(ctx), services_(services), findings_(findings), tally_(tally), tasks_(tasks) {}

  // Every blob in the store. First, or not at all.
  Result<void> check_all_blobs();

  // What is below `root`. `place` names the root in findings, and `object` is blamed for a wrong
  // size recorded in it.
  Result<void> check_tree(const Node& root, const std::string& place, const std::string& object);

  // Every directory in the store that was not seen yet, with what it refers to.
  Result<void> check_all_directories();

 private:
  struct ListedBlob {
    Digest digest;
    uint64_t size = 0;
  };

  // A blob that a node of a tree refers to.
  struct BlobReference {
    Digest digest;
    uint64_t size = 0;
    bool is_first = true;  // else only its size is in question
    std::string object;    // where the node is recorded
    std::string place;     // of the node
  };

  // A directory on the way to the current place.
  struct Level {
    std::shared_ptr<const Directory> directory;
    std::string object;
    size_t path_bytes = 0;  // of its place in path_
    size_t next = 0;        // entry to go on with
  };

  Result<void> check_listed(const ListedBlob& blob);
  Result<void> check_referred(const BlobReference& reference);
  Result<std::unique_ptr<store::BlobReader>> open(const Digest& digest, bool& is_damaged);
  Result<void> hash(const Digest& digest, store::BlobReader& reader);

  bool is_listed(const Digest& digest, uint64_t size) const;
  void add_blob(const Digest& digest, uint64_t size, const std::string& object,
                std::string_view name);
  void submit_references();

  Result<void> walk();
  Result<void> enter(const Digest& digest, std::optional<uint64_t> recorded_size,
                     const std::string& object);
  std::string place_of(std::string_view name) const;

  const Context& ctx_;
  const store::Services& services_;
  Findings& findings_;
  Tally& tally_;
  TaskGroup& tasks_;

  std::vector<ListedBlob> listed_;  // by digest
  // With the recorded size that was compared.
  std::unordered_map<Digest, uint64_t> blobs_seen_;
  std::unordered_map<Digest, std::optional<uint64_t>> directories_seen_;

  std::vector<BlobReference> references_;  // not submitted yet
  std::vector<Level> levels_;
  std::string path_;  // of the last level, as for people
};

}  // namespace castore::transfer
