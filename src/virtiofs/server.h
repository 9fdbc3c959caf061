// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "fs/filesystem.h"
#include "fuse/deferred_requests.h"
#include "fuse/negotiate.h"
#include "fuse/statistics.h"

namespace castore::virtiofs {

// Of the name that a guest mounts the device by (virtio 1.2, 5.11.4).
inline constexpr size_t kTagBytesMax = 36;
// Each queue has a thread once the guest uses it; there is one more queue, for urgent requests.
inline constexpr uint16_t kRequestQueuesMax = 64;
// 8 million nodes are some 600 MB, and a hostile guest can make them 3 GB (long names).
inline constexpr uint64_t kNodesMaxDefault = 8'000'000;

struct DeviceOptions {
  // Told to a front end that asks (most are told the tag by their own command line). May be empty.
  std::string tag;
  uint16_t request_queues = 1;  // 1 to kRequestQueuesMax
  // How long a request may wait for a slow store.
  std::chrono::milliseconds read_timeout = std::chrono::seconds(60);
  // How long requests that are with the store are waited for when a queue stops, and when the
  // connection ends, before and after they are asked to stop.
  std::chrono::milliseconds stop_grace = std::chrono::seconds(5);
  // What a guest may hold in nodes it has looked up and not forgotten. Then further lookups fail
  // with ENFILE until it forgets some; a guest's kernel does so when it needs memory.
  uint64_t nodes_max = kNodesMaxDefault;
};

// Makes what a guest sees: its own filesystem, over caches and services that guests may share.
// Called for each connection, and again when the guest has booted anew: references of a kernel that
// is gone are never taken back one by one. Called by threads of the connection, one at a time; does
// not wait for a store. Lives as long as the connection.
using FilesystemMaker = std::function<std::shared_ptr<fs::Filesystem>()>;

// What a connection is and how it does.
struct GuestFacts {
  uint64_t memory_bytes = 0;  // of the guest, shared with us
  size_t queues = 0;          // that are in use, the urgent one among them
  // What the guest's kernel agreed on; nothing before it mounts.
  std::optional<fuse::Session> session;
  fs::Totals totals;
  std::vector<fuse::Statistics::Operation> operations;
  fuse::DeferredRequests::Counts deferred;
};

// One guest: one connected vhost-user front end (a virtual machine monitor), served as a virtio-fs
// device until it disconnects, misbehaves, or a stop is requested.
//
// A program does this for each socket it accepts (or was given connected):
//
//   auto guest = CASTORE_TRY(GuestConnection::start(std::move(socket), maker, options));
//   ... a thread that waits for signals calls guest->request_stop() ...
//   return guest->wait();
//
// Neither guest nor front end is trusted: whatever they send ends their own connection at worst.
// docs/protocols/virtiofs.md says what is spoken, and what the limits are.
//
//   Threads   `request_stop` and `facts` from any thread; not from a signal handler. The rest by
//   one
//             thread, as `wait` in a thread for each guest.
//   Signals   the connection's threads take none. The first connection of a process installs a
//             handler for SIGBUS, which a front end raises that takes its memory away; faults of
//             other memory go on to what was there before.
//   Sandbox   `start` makes threads, and needs no file. Later: recvmsg, sendmsg, mmap, munmap,
//             madvise, fstat, fcntl, eventfd2, poll, read, write, clone3, prctl, rt_sigprocmask,
//             rt_sigaction, rt_sigreturn, futex, and what the filesystem needs.
class GuestConnection {
 public:
  class Connection;  // internal

  // `socket` is a connected Unix stream socket, blocking or not. kInvalidArgument: the options
  // break their limits.
  static Result<std::unique_ptr<GuestConnection>> start(UniqueFd socket, FilesystemMaker maker,
                                                        const DeviceOptions& options);

  GuestConnection(const GuestConnection&) = delete;
  GuestConnection& operator=(const GuestConnection&) = delete;
  // Stops, unless `wait` has seen the end. Requests that do not come back from the store are left
  // to their threads, which keep what they need.
  ~GuestConnection();

  // Asks the connection to end and returns at once; also several times.
  void request_stop();

  // Returns when the connection has ended and nothing of it runs any more.
  //
  // No error: the front end disconnected, or a stop was requested. kInvalidArgument: front end or
  // guest broke the protocol and was cut off; the message says how. kUnsupported: it asks for
  // something this device does not do. kUnavailable: it has ended, but requests are stuck in the
  // store beyond the grace. Others: this machine could not go on (memory, descriptors).
  Result<void> wait();

  GuestFacts facts() const;

 private:
  explicit GuestConnection(std::shared_ptr<Connection> connection);

  // Shared with requests that are answered later, which may outlive this.
  std::shared_ptr<Connection> connection_;
  std::thread control_;
  Result<void> ended_;  // the control thread's until it is joined
};

}  // namespace castore::virtiofs
