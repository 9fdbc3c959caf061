// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "fs/filesystem.h"

namespace castore::fuse_device {

// Hands bytes of a file to another descriptor without copying them: splice(2) puts the file's pages
// into a pipe, and takes them out again. The kernel may move the pages instead of copying them, so
// that a large file is in memory once, in large pieces, and not in the caches of two filesystems.
//
//   Threads   one.
//   Blocking  `fill` as a read of the file does.
class SplicePipe {
 public:
  // Puts `header` and the range into the pipe, which must be empty. False: it does not fit, the
  // file ends before the range does, or there is no such pipe; the pipe is empty then.
  bool fill(ByteView header, const fs::FileRange& range);

  // Hands what is in the pipe on, as one message. An errno, or 0. The pipe is empty afterwards.
  int empty_into(int fd);

 private:
  bool make();

  UniqueFd read_end_;
  UniqueFd write_end_;
  size_t bytes_max_ = 0;  // 0: not made yet
  size_t bytes_ = 0;
  bool is_impossible_ = false;
};

}  // namespace castore::fuse_device
