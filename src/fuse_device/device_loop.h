// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "fuse/dispatcher.h"
#include "fuse_device/splice_pipe.h"

namespace castore::fuse_device {

// One thread's way to the kernel: reads requests from its own descriptor of the connection, has
// them served, and writes the replies.
//
// The descriptor does not block. While there is nothing to read the thread waits in an epoll of its
// own, exclusively, so that one request wakes one thread; and the same wait ends when a stop is
// asked for, which a blocking read would not notice.
class DeviceLoop {
 public:
  enum class End {
    kUnmounted,  // the kernel has no such mount any more
    kStopped,
    kFailed,  // the log says how
  };

  // `stop_event` becomes readable when all loops are to end, stays so, and outlives the loop.
  static Result<std::unique_ptr<DeviceLoop>> make(UniqueFd device, int stop_event);

  // Serves until the end.
  End run(fuse::Dispatcher& dispatcher);

  // Serves what comes until INIT is answered. For the first loop, before `run`.
  Result<void> serve_init(fuse::Dispatcher& dispatcher, std::chrono::milliseconds timeout);

  // Another descriptor of the same connection, so that its requests do not queue behind this one's.
  Result<UniqueFd> clone() const;
  // The same descriptor under another number, where cloning is not permitted.
  Result<UniqueFd> share() const;

  // The descriptor, for who hands files to the kernel.
  std::shared_ptr<const UniqueFd> device() const { return device_; }

  // Takes the connection away from the loop, from another thread: replies go nowhere, and the
  // kernel sees a descriptor closed even while the thread is busy with a request. After the stop
  // event. `nowhere` is /dev/null, opened.
  void cut_off(int nowhere);

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  using Buffer = std::unique_ptr<std::byte, Free>;
  enum class Step { kServed, kNothing, kUnmounted, kFailed };

  DeviceLoop(UniqueFd device, UniqueFd poll, int stop_event);

  Step step(fuse::Dispatcher& dispatcher);
  // False when a stop was asked for.
  bool wait_for_request();

  const std::shared_ptr<const UniqueFd> device_;  // shared with answers that are given later
  UniqueFd poll_;
  int stop_event_;
  std::atomic<bool> cut_off_ = false;
  SplicePipe pipe_;
  Buffer request_;
  Buffer scratch_;
};

}  // namespace castore::fuse_device
