// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace castore::fuse_device {

// How file content gets to who reads it.
enum class ReadPath {
  kAuto,
  // The kernel opens files and folders by itself and keeps what it has read. For many small files.
  kCached,
  // Large files of the local store are read by the kernel itself. It asks for each open then. For
  // few large files.
  kPassthrough,
};

// How requests get from the kernel to this process.
enum class Transport {
  kAuto,
  kDevice,   // read(2) and write(2) on /dev/fuse
  kIoUring,  // memory shared with the kernel
};

std::string_view to_string(ReadPath path);
std::string_view to_string(Transport transport);

// What is known of the machine and of what is mounted before the kernel has said what it offers.
struct Circumstances {
  bool privileged = false;         // CAP_SYS_ADMIN, in the first user namespace
  bool uring_enabled = false;      // the parameter enable_uring of the kernel's module
  bool uring_known = false;        // whether the kernel has that parameter
  bool few_large_files = false;    // what is mounted is that, rather than many small ones
  bool store_may_be_slow = false;  // further away than a local disk
  // The most pages that one request may have, as the kernel limits it; 0: not known.
  uint32_t pages_limit = 0;
};

// Looks at this process and machine; what is mounted is the caller's to say.
Circumstances look_around();

// For people: why a mount does not do the next better thing, and what would change that.
struct Note {
  std::string found;
  std::string advice = {};  // where there is something to do
};

// The same in one line.
std::string to_string(const Note& note);

// What a mount tries first, and why not the next better thing.
struct Plan {
  ReadPath read_path = ReadPath::kCached;
  Transport transport = Transport::kDevice;
  std::vector<Note> notes;
};

// Chooses. What was asked for by name and cannot be is a note too: a mount that is slower than it
// might be is better than none.
Plan make_plan(ReadPath read_path, Transport transport, const Circumstances& circumstances);

}  // namespace castore::fuse_device
