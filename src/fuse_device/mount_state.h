// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

namespace castore::fuse_device {

enum class MountState {
  kAlive,
  kDead,    // its server is gone; the mount stands until it is unmounted
  kSilent,  // its server does not answer: it was stopped, or is being traced
};

// Whether an errno is what the kernel says of a mount whose server is gone, or is just going.
bool is_dead_mount(int errno_value);

// How the FUSE mount at `path` does, by a question that the kernel never answers by itself, while
// stat(2) may be answered from what it remembers of the dead.
//
// Waits for some seconds at most: a process of its own asks, which is given up when it gets no
// answer. Forks, also where there are other threads: the child makes two system calls.
MountState state_of_mount(const std::string& path);

}  // namespace castore::fuse_device
