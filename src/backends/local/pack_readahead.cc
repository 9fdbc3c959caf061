// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/pack_readahead.h"

#include <fcntl.h>

#include <algorithm>

#include "backends/local/pack_files.h"

namespace castore::backends::local {

PackReadahead::Advice PackReadahead::advise(const ObjectRecord& place) {
  const uint64_t number = place.offset / kWindowBytes;
  auto state = state_.lock();
  auto find = [&](uint64_t wanted) {
    return std::ranges::find_if(state->windows, [&](const Window& window) {
      return window.pack == place.pack && window.number == wanted;
    });
  };
  auto remember = [&](const Window& window) {
    state->windows[state->next] = window;
    state->next = (state->next + 1) % kWindowsMax;
  };

  auto known = find(number);
  if (known == state->windows.end()) {
    const bool at_once = kind_of_pack(place.pack) == PackOf::kDirectories;
    remember({place.pack, number, at_once});
    if (at_once) return {number * kWindowBytes, kWindowBytes};
    return {};
  }
  // Of the window behind, so that there is no pause between the two.
  const bool next_is_known = find(number + 1) != state->windows.end();
  Advice advice;
  if (!known->is_read) {
    known->is_read = true;
    advice = {number * kWindowBytes, next_is_known ? kWindowBytes : 2 * kWindowBytes};
  } else if (!next_is_known) {
    advice = {(number + 1) * kWindowBytes, kWindowBytes};
  }
  if (!next_is_known) remember({place.pack, number + 1, true});
  return advice;
}

void PackReadahead::before_read(int fd, const ObjectRecord& place) {
  const Advice advice = advise(place);
  if (advice.bytes == 0) return;
  // A hint; whatever it answers, the read decides.
  (void)::posix_fadvise(fd, static_cast<off_t>(advice.offset), static_cast<off_t>(advice.bytes),
                        POSIX_FADV_WILLNEED);
}

}  // namespace castore::backends::local
