// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/context.h"
#include "base/guarded.h"
#include "fs/filesystem.h"
#include "fuse/backing_files.h"
#include "fuse/deferred_requests.h"
#include "fuse/negotiate.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/running_requests.h"
#include "fuse/statistics.h"

namespace castore::fuse {

struct DispatcherOptions {
  Wishes wishes = {};
  // Needed where `wishes` have passthrough; outlives the dispatcher.
  BackingRegistry* backing_registry = nullptr;
  DeferredRequests::Options deferred = {};
  // What the other side may hold of the filesystem's nodes and handles, for one that is not
  // trusted. At the limit, what would add to them is refused (ENFILE). Requests that are served at
  // the same time may exceed it by what each of them adds.
  uint64_t nodes_max = std::numeric_limits<uint64_t>::max();
  uint64_t handles_max = std::numeric_limits<uint64_t>::max();
  // Answers the control kReportControl with a text; empty: there is no such control.
  std::function<std::string()> report = {};
};

// ioctl(2) on any folder or file of a mount, with room for kReportBytesMax bytes: a text for
// programs that says how the mount is doing, ended by a NUL.
inline constexpr size_t kReportBytesMax = 16000;
inline constexpr uint32_t kReportControl = 2u << 30 | kReportBytesMax << 16 | 0xCA << 8 | 1;

// Answers FUSE requests from a filesystem: one mount, or one guest. It neither reads nor writes
// anything itself, so /dev/fuse and a guest's queues are served alike, and a test needs no kernel.
//
// What is asked may be anything: each request is checked before it is looked at, and one that makes
// no sense gets an error. A request before INIT, and a second INIT, are refused. After DESTROY the
// next INIT begins anew; references of the kernel that left are not taken back, so a transport
// whose peers come and go makes a filesystem and a dispatcher for each.
//
//   Threads   any method, any thread, at the same time.
//   Blocking  `handle` waits for no more than a local disk, if the sink can be kept: a request that
//             has to wait for a slow store is answered later, by a thread of its own. Where the
//             sink cannot be kept, `handle` waits for the store.
//   Replies   one through the sink for each request, none for FORGET and INTERRUPT. If the answer
//             to a LOOKUP, OPEN or listing is not delivered, what it handed out is taken back.
class Dispatcher {
 public:
  // `filesystem` must outlive the dispatcher.
  explicit Dispatcher(fs::Filesystem& filesystem, DispatcherOptions options = {});

  // Requests that are answered later hold `owner`, which keeps this dispatcher alive. For
  // transports whose sinks can be kept; before the first request.
  void set_owner(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

  // Serves one request. `scratch` has at least kReadBytesMax bytes and is used until the return.
  void handle(ByteView request, ReplySink& sink, MutableByteView scratch);

  // As the INTERRUPT of the request of that number, for a transport whose peer sends none.
  void interrupt(uint64_t unique) { running_.interrupt(unique); }

  // Asks everything that runs to stop, and everything that comes later. For the end of a mount.
  void stop_all() { running_.stop_all(); }

  // After `stop_all`: waits until nothing runs that was to be answered later. False when that takes
  // longer than `grace`.
  bool wait_for_deferred(std::chrono::milliseconds grace) { return deferred_.close(grace); }

  // What INIT agreed on; nothing before it, and after DESTROY.
  std::optional<Session> session();

  const Statistics& statistics() const { return statistics_; }
  DeferredRequests::Counts deferred() { return deferred_.counts(); }
  BackingFiles::Counts backing();

 private:
  struct Call {
    const Request& request;
    const Context& ctx;
    Answer answer;
    MutableByteView scratch;
    bool would_wait = false;  // and so was not answered
  };
  class LaterWork;

  // False: not answered, as it would have to wait and `ctx` does not allow that.
  bool serve_request(const Request& request, const Context& ctx, ReplySink& sink,
                     MutableByteView scratch);
  void serve_later(const Request& request, ByteView bytes, std::unique_ptr<ReplySink> sink);
  void fail(Call& call, fs::Fault fault);
  // Whether there is room for another node or handle. Answers the call if not.
  bool may_add_node(Call& call);
  bool may_add_handle(Call& call);

  void serve(Call& call, const InitRequest& init);
  void serve(Call& call, const LookupRequest& lookup);
  void serve(Call& call, const ForgetRequest& forget);
  void serve(Call& call, const BatchForgetRequest& forget);
  void serve(Call& call, const GetattrRequest&);
  void serve(Call& call, const ReadlinkRequest&);
  void serve(Call& call, const OpenRequest& open);
  void serve(Call& call, const ReadRequest& read);
  void serve(Call& call, const ReleaseRequest& release);
  void serve(Call& call, const OpendirRequest&);
  void serve(Call& call, const ReaddirRequest& readdir);
  void serve(Call& call, const ReleasedirRequest& release);
  void serve(Call& call, const GetxattrRequest& getxattr);
  void serve(Call& call, const ListxattrRequest& listxattr);
  void serve(Call& call, const LseekRequest& lseek);
  void serve(Call& call, const IoctlRequest& ioctl);
  void serve(Call& call, const StatfsRequest&);
  void serve(Call& call, const InterruptRequest& interrupt);
  void serve(Call& call, const DestroyRequest&);
  void serve(Call& call, const RefusedRequest& refused);
  void serve(Call& call, const IgnoredRequest&);

  // Whether INIT agreed on a flag.
  bool has(uint64_t flag) const { return (agreed_.load(std::memory_order_relaxed) & flag) != 0; }

  fs::Filesystem& filesystem_;
  const DispatcherOptions options_;
  std::weak_ptr<void> owner_;
  RunningRequests running_;
  DeferredRequests deferred_;
  std::optional<BackingFiles> backing_;
  Statistics statistics_;
  std::atomic<bool> initialised_ = false;
  std::atomic<uint64_t> agreed_ = 0;  // the session's, for who has no time for its lock
  Guarded<std::optional<Session>> session_;
};

}  // namespace castore::fuse
