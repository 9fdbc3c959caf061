// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The reading loops that bench/mount.py measures. What is measured warm takes a microsecond or two
// a call, so a loop does hardly more than its system calls, and the clock starts when paths are
// loaded and buffers are there.
//
// Each pass prints one line: its seconds, the number of things it touched, and a sum over what it
// saw, which is the same on every filesystem that shows the same files.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace {

using castore::UniqueFd;

constexpr size_t kReadBytes = 128 * 1024;
constexpr size_t kPageBytes = 4096;
constexpr unsigned kThreadsMax = 64;

struct Seen {
  uint64_t items = 0;
  uint64_t sum = 0;
};

[[noreturn]] void die(const char* doing, const std::string& path) {
  std::fprintf(stderr, "mount_load: %s %s: %s\n", doing, path.c_str(), std::strerror(errno));
  std::exit(1);
}

UniqueFd open_at(int folder, const std::string& path, int flags) {
  UniqueFd fd(::openat(folder, path.c_str(), flags | O_CLOEXEC));
  if (!fd) die("opening", path);
  return fd;
}

struct stat stat_of(const UniqueFd& fd, const std::string& path) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) die("examining", path);
  return status;
}

// The lines of a file: paths relative to the folder that is measured.
std::vector<std::string> paths_in(const std::string& list) {
  std::vector<std::string> paths;
  std::ifstream stream(list);
  for (std::string line; std::getline(stream, line);) paths.push_back(line);
  if (!stream.eof() || paths.empty()) die("reading the paths in", list);
  return paths;
}

// Lists every folder and examines every entry, as find and ls -lR do.
Seen walk(const UniqueFd& root) {
  Seen seen;
  std::vector<std::string> pending{"."};
  while (!pending.empty()) {
    const std::string folder = std::move(pending.back());
    pending.pop_back();
    DIR* stream = ::fdopendir(open_at(root.get(), folder, O_RDONLY | O_DIRECTORY).release());
    if (stream == nullptr) die("opening", folder);
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat status{};
      if (::fstatat(::dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        die("examining", folder + "/" + entry->d_name);
      ++seen.items;
      if (S_ISREG(status.st_mode)) seen.sum += static_cast<uint64_t>(status.st_size);
      if (S_ISDIR(status.st_mode)) pending.push_back(folder + "/" + entry->d_name);
      errno = 0;
    }
    if (errno != 0) die("listing", folder);
    ::closedir(stream);
  }
  return seen;
}

Seen open_all(const UniqueFd& root, const std::vector<std::string>& paths) {
  Seen seen;
  for (const std::string& path : paths) {
    const UniqueFd file = open_at(root.get(), path, O_RDONLY);
    seen.sum += static_cast<uint64_t>(stat_of(file, path).st_size);
    ++seen.items;
  }
  return seen;
}

void read_whole(const UniqueFd& root, const std::string& path, std::vector<char>& buffer,
                Seen& seen) {
  const UniqueFd file = open_at(root.get(), path, O_RDONLY);
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0) die("reading", path);
    if (count == 0) break;
    seen.sum += static_cast<uint64_t>(count);
  }
  ++seen.items;
}

// Threads take the next path each, so that a disk sees the files in about the order of the list.
Seen read_all(const UniqueFd& root, const std::vector<std::string>& paths, unsigned thread_count) {
  std::atomic<size_t> next = 0;
  std::array<Seen, kThreadsMax> seen_by{};
  auto work = [&](Seen& result) {
    std::vector<char> buffer(kReadBytes);
    Seen seen;
    for (size_t i = next++; i < paths.size(); i = next++) read_whole(root, paths[i], buffer, seen);
    result = seen;
  };
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < thread_count; ++i) others.emplace_back(work, std::ref(seen_by[i]));
  work(seen_by[0]);
  others.clear();
  Seen total;
  for (const Seen& seen : seen_by) {
    total.items += seen.items;
    total.sum += seen.sum;
  }
  return total;
}

// The same positions on every filesystem (splitmix64).
Seen read_randomly(const std::string& path, uint64_t count) {
  const UniqueFd file = open_at(AT_FDCWD, path, O_RDONLY);
  const uint64_t pages = static_cast<uint64_t>(stat_of(file, path).st_size) / kPageBytes;
  if (pages == 0) die("finding a page in", path);
  std::array<unsigned char, kPageBytes> page{};
  Seen seen;
  for (uint64_t state = 0; seen.items < count; ++seen.items) {
    uint64_t mixed = state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    mixed ^= mixed >> 31;
    const auto offset = static_cast<off_t>(mixed % pages * kPageBytes);
    if (::pread(file.get(), page.data(), page.size(), offset) != static_cast<ssize_t>(page.size()))
      die("reading", path);
    seen.sum += page[0];
  }
  return seen;
}

// Touches each page of a mapping once.
Seen read_mapped(const std::string& path) {
  const UniqueFd file = open_at(AT_FDCWD, path, O_RDONLY);
  const auto size = static_cast<size_t>(stat_of(file, path).st_size);
  void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapping == MAP_FAILED) die("mapping", path);
  Seen seen;
  const auto* bytes = static_cast<const volatile unsigned char*>(mapping);
  for (size_t offset = 0; offset < size; offset += kPageBytes) {
    seen.sum += bytes[offset];
    ++seen.items;
  }
  ::munmap(mapping, size);
  return seen;
}

template <typename Load>
void measure(uint64_t passes, Load load) {
  for (uint64_t pass = 0; pass < passes; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    const Seen seen = load();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    std::printf("%.6f %llu %llu\n", taken.count(), static_cast<unsigned long long>(seen.items),
                static_cast<unsigned long long>(seen.sum));
  }
}

uint64_t number(const char* text) {
  char* end = nullptr;
  const uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0' || value == 0) {
    std::fprintf(stderr, "mount_load: '%s' is not a number above 0\n", text);
    std::exit(2);
  }
  return value;
}

int usage() {
  std::fputs(
      "usage: mount_load walk PASSES FOLDER\n"
      "       mount_load open PASSES FOLDER LIST            LIST: paths in FOLDER, one a line\n"
      "       mount_load read PASSES FOLDER LIST THREADS\n"
      "       mount_load random PASSES FILE READS           of 4 KiB each\n"
      "       mount_load mmap PASSES FILE\n",
      stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return usage();
  const std::string_view load = argv[1];
  const uint64_t passes = number(argv[2]);
  const std::string path = argv[3];

  if (load == "mmap" && argc == 4) {
    measure(passes, [&] { return read_mapped(path); });
  } else if (load == "random" && argc == 5) {
    const uint64_t reads = number(argv[4]);
    measure(passes, [&] { return read_randomly(path, reads); });
  } else if (load == "walk" && argc == 4) {
    const UniqueFd root = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    measure(passes, [&] { return walk(root); });
  } else if (load == "open" && argc == 5) {
    const UniqueFd root = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    const std::vector<std::string> paths = paths_in(argv[4]);
    measure(passes, [&] { return open_all(root, paths); });
  } else if (load == "read" && argc == 6) {
    const UniqueFd root = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    const std::vector<std::string> paths = paths_in(argv[4]);
    const uint64_t thread_count = number(argv[5]);
    if (thread_count > kThreadsMax) return usage();
    measure(passes, [&] { return read_all(root, paths, static_cast<unsigned>(thread_count)); });
  } else {
    return usage();
  }
  return 0;
}
