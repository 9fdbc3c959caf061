// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "fs/filesystem.h"
#include "fuse/dispatcher.h"
#include "fuse_device/mount.h"
#include "fuse_device/plan.h"

namespace castore::fuse_device {

struct MountFacts;

struct ServerOptions {
  MountOptions mount;
  ReadPath read_path = ReadPath::kAuto;
  Transport transport = Transport::kAuto;
  // What the machine allows is looked at here; what is mounted, and out of what, the caller knows.
  bool few_large_files = false;
  bool store_may_be_slow = false;
  // A file on the disk of the store, with which passthrough is tried before it is relied on. Empty:
  // there is none, and nothing is tried.
  std::string file_of_store = {};
  // Threads that read /dev/fuse; 0: one a processor. io_uring has its own.
  size_t thread_count = 0;
  // How long a request may wait for a slow store.
  std::chrono::milliseconds read_timeout = std::chrono::seconds(60);
  // What the mount says when it is asked how it does; empty: nothing.
  std::function<std::string(const MountFacts&)> report = {};
  // What statfs(2) says of the store, from memory; empty: nothing.
  std::function<fuse::StoreTotals()> store_totals = {};
  // How long the end of a mount waits for requests that are with the store, after having asked them
  // to stop.
  std::chrono::milliseconds stop_grace = std::chrono::seconds(5);
};

// What a mount is and how it does.
struct MountFacts {
  std::string mount_point;
  std::string source;
  ReadPath read_path = ReadPath::kCached;
  Transport transport = Transport::kDevice;
  std::vector<Note> notes;
  size_t threads = 0;
  bool cloned = true;  // each thread has its own descriptor of the connection
  fuse::Session session;
  fs::Totals totals;
  std::vector<fuse::Statistics::Operation> operations;
  fuse::DeferredRequests::Counts deferred;
  fuse::BackingFiles::Counts backing;
};

// One mount, from `start` until it is unmounted by whomever.
//
// A program does this:
//
//   auto server = CASTORE_TRY(FuseServer::start(filesystem, options));   // it can be used now
//   ... a thread that waits for signals calls server->request_stop() ...
//   return server->wait();
//
//   Threads   `request_stop` from any thread, also several times; not from a signal handler. The
//             rest by one thread.
//   Signals   the server's threads take none.
class FuseServer {
 public:
  // Mounts, and returns once the kernel was answered: whoever looks at the mount point now sees the
  // filesystem.
  static Result<std::unique_ptr<FuseServer>> start(std::shared_ptr<fs::Filesystem> filesystem,
                                                   const ServerOptions& options);

  FuseServer(const FuseServer&) = delete;
  FuseServer& operator=(const FuseServer&) = delete;
  // Ends the mount, unless `wait` has seen its end. Requests that do not come back are left to
  // their threads, which keep what they need.
  ~FuseServer();

  // Asks the mount to end and returns at once.
  void request_stop();

  // Returns when the mount has ended: somebody unmounted it and nobody uses it any more, or a stop
  // was requested. Then requests are asked to stop, and programs still waiting get an error.
  //
  // kUnavailable: the mount is gone, but requests are stuck in the store beyond the grace. A later
  // call waits for them once more. Other errors: the mount point could not be unmounted.
  Result<void> wait();

  // Where it is mounted: absolute, without symlinks.
  const std::string& mount_point() const;
  MountFacts facts() const;

 private:
  struct Connection;

  explicit FuseServer(std::shared_ptr<Connection> connection);

  // Mounts as `plan` has it, or without passthrough where the kernel does not take the store's
  // files. An error may also mean that it did not take the queues of io_uring; nothing is mounted
  // then.
  static Result<std::unique_ptr<FuseServer>> start_as_planned(
      std::shared_ptr<fs::Filesystem> filesystem, const ServerOptions& options, const Plan& plan);
  Result<void> start_threads();

  Result<void> end_mount();
  Result<void> wait_for_threads();

  // Shared with the threads, which may outlive the server.
  std::shared_ptr<Connection> connection_;
  std::vector<std::thread> threads_;
};

}  // namespace castore::fuse_device
