// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <optional>

#include "base/bytes.h"
#include "base/context.h"
#include "base/guarded.h"
#include "fs/filesystem.h"
#include "fuse/negotiate.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/running_requests.h"

namespace castore::fuse {

// Answers FUSE requests from a filesystem: one mount, or one guest. It neither reads nor writes
// anything itself, so /dev/fuse and a guest's queues are served alike, and a test needs no kernel.
//
// What is asked may be anything: each request is checked before it is looked at, and one that makes
// no sense gets an error. A request before INIT, and a second INIT, are refused. After DESTROY the
// next INIT begins anew; references of the kernel that left are not taken back, so a transport
// whose peers come and go makes a filesystem and a dispatcher for each.
//
//   Threads   any method, any thread, at the same time.
//   Blocking  `handle` waits for the store as the filesystem does.
//   Replies   one through the sink for each request, none for FORGET and INTERRUPT. If the answer
//             to a LOOKUP, OPEN or listing is not delivered, what it handed out is taken back.
class Dispatcher {
 public:
  // `filesystem` must outlive the dispatcher.
  explicit Dispatcher(fs::Filesystem& filesystem) : filesystem_(filesystem) {}

  // Serves one request. `scratch` has at least kReadBytesMax bytes and is used until the return.
  void handle(ByteView request, ReplySink& sink, MutableByteView scratch);

  // Asks everything that runs to stop, and everything that comes later. For the end of a mount.
  void stop_all() { running_.stop_all(); }

  // What INIT agreed on; nothing before it, and after DESTROY.
  std::optional<Session> session();

 private:
  struct Call {
    const Request& request;
    const Context& ctx;
    Answer answer;
    MutableByteView scratch;
  };

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
  void serve(Call& call, const StatfsRequest&);
  void serve(Call& call, const InterruptRequest& interrupt);
  void serve(Call& call, const DestroyRequest&);
  void serve(Call& call, const RefusedRequest& refused);
  void serve(Call& call, const IgnoredRequest&);

  fs::Filesystem& filesystem_;
  RunningRequests running_;
  std::atomic<bool> initialised_ = false;
  Guarded<std::optional<Session>> session_;
};

}  // namespace castore::fuse
