// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "backends/local/records.h"
#include "base/guarded.h"

namespace castore::backends::local {

// Tells the kernel what of a pack will be read next. Its own readahead sees several readers of one
// descriptor as one that jumps about, and reads nothing ahead for them.
//
// A pack is looked at in windows of kWindowBytes. A tree's objects lie next to each other, so a
// window that is read from a second time is read whole, and so is the one behind it; one of
// directories at once, since they are small and a walk wants them all. A single read out of a
// window is taken for one of its kind, and nothing is read ahead.
//
//   Threads   any, at the same time.
//   Blocking  as long as the disk takes to accept requests.
class PackReadahead {
 public:
  static constexpr uint64_t kWindowBytes = 1 << 20;

  // Before `place` is read from the pack that is open as `fd`.
  void before_read(int fd, const ObjectRecord& place);

  // What to read now, for `before_read`: a number of bytes from an offset of that pack on.
  struct Advice {
    uint64_t offset = 0;
    uint64_t bytes = 0;  // 0: nothing
  };
  Advice advise(const ObjectRecord& place);

 private:
  // As many trees can be read at once without getting into each other's way.
  static constexpr size_t kWindowsMax = 32;
  struct Window {
    uint64_t pack = 0;
    uint64_t number = 0;
    bool is_read = false;
  };
  struct State {
    std::array<Window, kWindowsMax> windows{};
    size_t next = 0;  // to be forgotten
  };

  Guarded<State> state_;
};

}  // namespace castore::backends::local
