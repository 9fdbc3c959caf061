// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "fs/filesystem.h"
#include "fuse/negotiate.h"
#include "fuse_device/mount.h"

namespace castore::fuse_device {

struct ServerOptions {
  MountOptions mount;
  size_t thread_count = 4;
  // How long the end of a mount waits for requests that are with the store, after having asked them
  // to stop.
  std::chrono::milliseconds stop_grace = std::chrono::seconds(5);
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
  // What the kernel and this server agreed on.
  const fuse::Session& session() const;
  // Whether each thread has its own descriptor of the connection.
  bool cloned() const;

 private:
  struct Connection;

  explicit FuseServer(std::shared_ptr<Connection> connection);

  Result<void> end_mount();
  Result<void> wait_for_threads();

  // Shared with the threads, which may outlive the server.
  std::shared_ptr<Connection> connection_;
  std::vector<std::thread> threads_;
};

}  // namespace castore::fuse_device
