// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Many threads do to mounts of a tree, at random, what programs do, and compare each answer with
// what the same call on the tree itself gives.
//
//   tree_stress SECONDS THREADS SEED SOURCE MOUNT...
//
// Once a second the kernel forgets what it keeps (where it lets us), and a process that reads is
// killed in the middle. The seed is printed. Exit code 0: no difference; 1: some, printed; 2: usage
// or a fault of the source.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Random = std::mt19937_64;
using Listing = std::vector<std::pair<std::string, unsigned char>>;  // name, d_type

constexpr size_t kReadBytesMax = size_t{256} << 10;
constexpr uint64_t kDifferencesMax = 20;

std::atomic<uint64_t> operations = 0;
std::atomic<uint64_t> differences = 0;
std::atomic<bool> stop = false;

struct Item {
  std::string path;  // below the root, "" for itself
  mode_t type;       // S_IFMT
  uint64_t size;
};

void differ(const std::string& path, const char* what, const std::string& source,
            const std::string& mount) {
  if (differences.fetch_add(1) >= kDifferencesMax) {
    stop = true;
    return;
  }
  std::fprintf(stderr, "%s: %s: the source has %s, the mount %s\n", path.c_str(), what,
               source.c_str(), mount.c_str());
}

struct Close {
  int fd;
  ~Close() {
    if (fd >= 0) ::close(fd);
  }
};

std::string error_text(int error) {
  return error == 0 ? "no error" : std::strerror(error);
}

size_t below(Random& random, uint64_t limit) {
  return limit == 0 ? 0 : static_cast<size_t>(random() % limit);
}

// --- what each call gives, as text to compare
// -----------------------------------------------------

std::string attributes(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) return error_text(errno);
  std::string text = std::to_string(status.st_mode & S_IFMT);
  if (S_ISREG(status.st_mode)) text += (status.st_mode & S_IXUSR) != 0 ? " executable" : " plain";
  // A folder's size is each filesystem's own.
  if (!S_ISDIR(status.st_mode)) text += " " + std::to_string(status.st_size);
  return text;
}

std::string link_target(const std::string& path) {
  char buffer[8192];
  ssize_t n = ::readlink(path.c_str(), buffer, sizeof buffer);
  return n < 0 ? error_text(errno) : std::string(buffer, static_cast<size_t>(n));
}

std::string read_by_call(const std::string& path, uint64_t offset, size_t size) {
  Close file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return error_text(errno);
  std::string bytes(size, '\0');
  ssize_t n = ::pread(file.fd, bytes.data(), size, static_cast<off_t>(offset));
  if (n < 0) return error_text(errno);
  bytes.resize(static_cast<size_t>(n));
  return bytes;
}

std::string read_by_mapping(const std::string& path, uint64_t offset, size_t size, int flags) {
  Close file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return error_text(errno);
  offset -= offset % 4096;
  void* start = ::mmap(nullptr, size, PROT_READ, flags, file.fd, static_cast<off_t>(offset));
  if (start == MAP_FAILED) return error_text(errno);
  std::string bytes(static_cast<const char*>(start), size);
  ::munmap(start, size);
  return bytes;
}

// All names with their types; then, where `jump` is not 0, some of them again.
std::string listing(const std::string& path, size_t jump) {
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
  if (!folder) return error_text(errno);
  std::vector<long> places;
  Listing all;
  auto read_all = [&] {
    Listing lines;
    for (;;) {
      const long place = ::telldir(folder.get());
      const dirent* entry = ::readdir(folder.get());
      if (entry == nullptr) return lines;
      if (places.size() <= all.size() + lines.size()) places.push_back(place);
      std::string name = entry->d_name;
      lines.emplace_back(name, entry->d_type);
    }
  };
  all = read_all();
  // Who has read what before does not matter: going on at a remembered place gives the rest.
  if (jump != 0 && !all.empty()) {
    const size_t from = jump % all.size();
    ::seekdir(folder.get(), places[from]);
    Listing rest;
    while (const dirent* entry = ::readdir(folder.get()))
      rest.emplace_back(entry->d_name, entry->d_type);
    if (!std::equal(rest.begin(), rest.end(), all.begin() + static_cast<ptrdiff_t>(from),
                    all.end()))
      return "another rest after seekdir";
  }
  // Some filesystems list themselves and what they are in, others leave that to the kernel.
  std::erase_if(all, [](const auto& line) { return line.first == "." || line.first == ".."; });
  std::ranges::sort(all);
  std::string text;
  for (const auto& [name, type] : all) text += name + "/" + std::to_string(type) + "\n";
  return text;
}

int error_of_writing(const std::string& path) {
  Close file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  return file.fd < 0 ? errno : 0;
}

// --- the threads
// ----------------------------------------------------------------------------------

class Worker {
 public:
  Worker(const std::vector<Item>& items, std::string source, const std::vector<std::string>& mounts,
         uint64_t seed)
      : items_(items), source_(std::move(source)), mounts_(mounts), random_(seed) {}

  void run() {
    while (!stop) {
      step();
      operations++;
    }
  }

 private:
  void compare(const Item& item, const char* what, const std::string& source,
               const std::string& mount) {
    if (source == mount) return;
    constexpr size_t kShown = 200;
    differ(item.path, what, source.substr(0, kShown), mount.substr(0, kShown));
  }

  void step() {
    const Item& item = items_[below(random_, items_.size())];
    const std::string here = source_ + "/" + item.path;
    const std::string there = mounts_[below(random_, mounts_.size())] + "/" + item.path;
    const size_t choice = below(random_, 10);
    if (choice < 2) {
      compare(item, "lstat", attributes(here), attributes(there));
      return;
    }
    if (choice == 2) {
      const std::string name = "/no such name " + std::to_string(below(random_, 5));
      compare(item, "a name that is not there", attributes(here + name), attributes(there + name));
      return;
    }
    if (S_ISLNK(item.type)) {
      compare(item, "readlink", link_target(here), link_target(there));
    } else if (S_ISDIR(item.type)) {
      compare(item, "listing", listing(here, 0), listing(there, below(random_, 1000)));
    } else if (choice == 3) {
      int error = error_of_writing(there);
      if (error != EROFS && error != EACCES)
        differ(item.path, "opening for writing", "a refusal", error_text(error));
    } else {
      read(item, here, there);
    }
  }

  void read(const Item& item, const std::string& here, const std::string& there) {
    // At the beginning, at the end, across it, or anywhere.
    uint64_t offset = below(random_, item.size + 1);
    if (below(random_, 4) == 0) offset = 0;
    size_t size = 1 + below(random_, below(random_, 2) == 0 ? 8192 : kReadBytesMax);
    if (below(random_, 3) == 0 && item.size > offset) {
      size = static_cast<size_t>(std::min<uint64_t>(size, item.size - offset));
      const int flags = below(random_, 2) == 0 ? MAP_PRIVATE : MAP_SHARED;
      compare(item, "mapping", read_by_mapping(here, offset, size, flags),
              read_by_mapping(there, offset, size, flags));
      return;
    }
    compare(item, "reading", read_by_call(here, offset, size), read_by_call(there, offset, size));
  }

  const std::vector<Item>& items_;
  const std::string source_;
  const std::vector<std::string>& mounts_;
  Random random_;
};

// A process that reads file after file is killed, wherever it is.
void kill_a_reader(const std::vector<Item>& items, const std::string& mount, Random& random) {
  const size_t first = below(random, items.size());
  pid_t reader = ::fork();
  if (reader == 0) {
    static char buffer[1 << 16];
    for (size_t i = first;; i = (i + 1) % items.size()) {
      if (!S_ISREG(items[i].type)) continue;
      int fd = ::open((mount + "/" + items[i].path).c_str(), O_RDONLY);
      while (::read(fd, buffer, sizeof buffer) > 0) continue;
      ::close(fd);
    }
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5 + below(random, 50)));
  ::kill(reader, SIGKILL);
  int status = 0;
  ::waitpid(reader, &status, 0);
}

void forget_caches() {
  Close file{::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC)};
  // Not ours to order in a container, and not needed for a difference to show.
  if (file.fd >= 0 && ::write(file.fd, "3", 1) != 1) return;
}

std::vector<Item> items_of(const std::string& source) {
  std::vector<Item> items{{"", S_IFDIR, 0}};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source)) {
    struct stat status;
    if (::lstat(entry.path().c_str(), &status) != 0) continue;
    items.push_back({entry.path().string().substr(source.size() + 1), status.st_mode & S_IFMT,
                     static_cast<uint64_t>(status.st_size)});
  }
  return items;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: %s SECONDS THREADS SEED SOURCE MOUNT...\n", argv[0]);
    return 2;
  }
  const int seconds = std::atoi(argv[1]);
  const int thread_count = std::atoi(argv[2]);
  const auto seed = static_cast<uint64_t>(std::atoll(argv[3]));
  const std::string source = argv[4];
  const std::vector<std::string> mounts(argv + 5, argv + argc);
  const std::vector<Item> items = items_of(source);
  std::printf("seed %llu, %zu items, %zu mounts\n", static_cast<unsigned long long>(seed),
              items.size(), mounts.size());
  std::fflush(stdout);

  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; ++i)
    threads.emplace_back(
        [&, i] { Worker(items, source, mounts, seed * 1000 + static_cast<uint64_t>(i)).run(); });
  Random random(seed);
  for (int second = 0; second < seconds && !stop; ++second) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    forget_caches();
    kill_a_reader(items, mounts[below(random, mounts.size())], random);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  std::printf("%llu operations, %llu differences\n",
              static_cast<unsigned long long>(operations.load()),
              static_cast<unsigned long long>(differences.load()));
  return differences == 0 ? 0 : 1;
}
