// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/mapped_pages.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cinttypes>
#include <cstdio>
#include <memory>

namespace castore::backends::local {
namespace {

// A touch maps up to 64 KiB (the kernel's fault_around_bytes), mostly of pages that other touches
// found mapped already: some 50 MiB at most.
constexpr uint32_t kTouchesMax = 768;

}  // namespace

void MappedPages::find(int fd, uint64_t bytes) {
  struct stat file;
  if (::fstat(fd, &file) != 0) return;
  std::unique_ptr<FILE, int (*)(FILE*)> maps(std::fopen("/proc/self/maps", "re"), &std::fclose);
  if (!maps) return;
  // A line is longer than this only by its path, whose rest reads as a line without numbers.
  char line[512];
  while (std::fgets(line, sizeof line, maps.get()) != nullptr) {
    uint64_t begin = 0;
    uint64_t end = 0;
    unsigned major = 0;
    unsigned minor = 0;
    uint64_t inode = 0;
    if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %*4c %*x %x:%x %" SCNu64, &begin, &end, &major,
                    &minor, &inode) != 5)
      continue;
    if (inode != file.st_ino || makedev(major, minor) != file.st_dev || end - begin != bytes)
      continue;
    start_ = reinterpret_cast<void*>(begin);
    bytes_ = bytes;
    return;
  }
}

void MappedPages::touch() {
  if (!counting_.load(std::memory_order_relaxed) || start_ == nullptr) return;
  if (touches_.fetch_add(1, std::memory_order_relaxed) + 1 < kTouchesMax) return;
  touches_.store(0, std::memory_order_relaxed);
  // Of a shared mapping of a file nothing is lost.
  (void)::madvise(start_, bytes_, MADV_DONTNEED);
}

}  // namespace castore::backends::local
