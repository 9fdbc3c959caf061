// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/guarded.h"
#include "fs/filesystem.h"
#include "fuse/dispatcher.h"
#include "virtiofs/server.h"

namespace castore::virtiofs {

// What a guest is served: a filesystem and the dispatcher that answers from it, made anew for each
// kernel that greets. A guest that is started again says nothing about what its last kernel held;
// it just greets.
//
//   Threads  any method, any thread.
class GuestFilesystem {
 public:
  GuestFilesystem(FilesystemMaker maker, const DeviceOptions& options);

  // Serves one request. What is answered later keeps what it needs.
  void serve(ByteView request, fuse::ReplySink& sink, MutableByteView scratch);
  void interrupt(uint64_t unique);

  // Asks everything that runs to stop, and everything that comes later.
  void stop_all();
  // After that: waits for what was to be answered later. False when it takes longer than `grace`.
  bool wait_for_deferred(std::chrono::milliseconds grace);

  // Of the kernel that greeted last.
  GuestFacts facts();

 private:
  struct Served;
  struct State {
    std::shared_ptr<Served> served;
    // Those before it, which requests that are stuck in the store may keep.
    std::vector<std::weak_ptr<Served>> former;
    bool is_renewing = false;
    bool stopped = false;
  };

  std::shared_ptr<Served> make() const;
  std::shared_ptr<Served> served() { return state_.lock()->served; }
  void renew();

  const FilesystemMaker maker_;
  const DeviceOptions options_;
  Guarded<State> state_;
};

}  // namespace castore::virtiofs
