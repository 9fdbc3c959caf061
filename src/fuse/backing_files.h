// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/guarded.h"
#include "base/result.h"
#include "fs/filesystem.h"

namespace castore::fuse {

// Tells the kernel of files of this machine which it may read by itself in place of asking.
class BackingRegistry {
 public:
  virtual ~BackingRegistry() = default;

  // The number the kernel knows the file by from now on, above 0. It holds the file itself.
  virtual Result<int32_t> add(const fs::BackingFile& file) = 0;
  virtual void remove(int32_t id) = 0;
};

// Which nodes the kernel reads by itself. All who have a node open at one time read it the same
// way, as the kernel demands: so the first decides, and what it decided holds until the last one
// has closed it.
//
//   Threads   any method, any thread.
class BackingFiles {
 public:
  // `registry` must outlive this.
  explicit BackingFiles(BackingRegistry& registry) : registry_(registry) {}

  // Counts one more who has `node` open. The number to answer with; nothing: it is read by asking.
  std::optional<int32_t> opened(fs::NodeId node, const std::optional<fs::BackingFile>& file);
  void closed(fs::NodeId node);

  // Nodes that the kernel reads by itself now, and how often it was told to since the beginning.
  struct Counts {
    uint64_t nodes = 0;
    uint64_t opens = 0;
    std::string refusal = {};  // why the first file that the kernel did not take was not
  };
  Counts counts();

 private:
  struct Node {
    uint64_t opens = 0;
    int32_t id = 0;  // 0: read by asking
  };
  struct State {
    std::unordered_map<fs::NodeId, Node> nodes;
    Counts counts;
  };

  BackingRegistry& registry_;
  // Held while the registry is asked, which is one call to the kernel: another who opens the same
  // node has to know what came of it.
  Guarded<State> state_;
};

}  // namespace castore::fuse
