// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "model/limits.h"

namespace castore::transfer {
namespace {

constexpr size_t kListingBufferBytes = 64 * 1024;

// The names and types of a folder's entries in as little memory as a million of them deserve: one
// string and four bytes an entry.
class NameList {
 public:
  void add(const char* name, unsigned char type) {
    offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
    bytes_.push_back(static_cast<char>(type));
    bytes_.append(name, std::strlen(name) + 1);
  }

  void sort() {
    // strcmp compares bytes as unsigned.
    std::ranges::sort(offsets_, [this](uint32_t a, uint32_t b) {
      return std::strcmp(bytes_.data() + a + 1, bytes_.data() + b + 1) < 0;
    });
  }

  // Of a sorted list.
  bool has_twins() const {
    return std::ranges::adjacent_find(offsets_, [this](uint32_t a, uint32_t b) {
             return std::strcmp(bytes_.data() + a + 1, bytes_.data() + b + 1) == 0;
           }) != offsets_.end();
  }

  size_t count() const { return offsets_.size(); }
  size_t bytes() const { return bytes_.size(); }
  const char* name(size_t i) const { return bytes_.data() + offsets_[i] + 1; }
  unsigned char type(size_t i) const { return static_cast<unsigned char>(bytes_[offsets_[i]]); }

 private:
  std::string bytes_;  // type, name and NUL of each
  std::vector<uint32_t> offsets_;
};

class TreeWalk {
 public:
  explicit TreeWalk(const EmitItem& emit) : emit_(emit), listing_(kListingBufferBytes) {}

  void run(const std::string& root) {
    auto place = std::make_shared<SourceFolder>(UniqueFd(AT_FDCWD), nullptr, "");
    Result<void> walked = visit(place, root, DT_UNKNOWN);
    while (walked && !levels_.empty()) walked = step();
    if (!walked)
      (void)emit_({.kind = SourceItem::Kind::kFailure,
                   .folder = std::move(place),
                   .name = root,
                   .outcome = std::move(walked).error()});
  }

 private:
  struct Level {
    std::shared_ptr<SourceFolder> folder;
    NameList names;
    size_t next = 0;
  };

  // The next entry of the innermost folder, or its end.
  Result<void> step() {
    Level& level = levels_.back();
    if (level.next == level.names.count()) {
      std::shared_ptr<SourceFolder> folder = std::move(level.folder);
      levels_.pop_back();
      return emit(SourceItem::Kind::kLeaveFolder, folder->parent, folder->name);
    }
    const size_t i = level.next++;
    return visit(level.folder, level.names.name(i), level.names.type(i));
  }

  // Takes the folder by value: `levels_` may move meanwhile.
  Result<void> visit(std::shared_ptr<SourceFolder> folder, std::string name, unsigned char type) {
    if (type == DT_UNKNOWN) {
      struct stat status;
      if (::fstatat(folder->fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(errno, "reading the attributes of {}", folder->path_of(name));
      type = static_cast<unsigned char>(IFTODT(status.st_mode));
    }
    switch (type) {
      case DT_DIR:
        return enter(std::move(folder), std::move(name));
      case DT_REG:
        return emit(SourceItem::Kind::kFile, std::move(folder), std::move(name));
      case DT_LNK:
        return emit(SourceItem::Kind::kSymlink, std::move(folder), std::move(name));
      default:
        return std::unexpected(unsupported_file_type(folder->path_of(name), DTTOIF(type)));
    }
  }

  Result<void> enter(std::shared_ptr<SourceFolder> parent, std::string name) {
    if (levels_.size() == kTreeDepthMax)
      return fail(ErrorKind::kExhausted, "{}: the tree is deeper than {} levels",
                  parent->path_of(name), kTreeDepthMax);
    UniqueFd fd = CASTORE_TRY(open_entry(*parent, name, O_RDONLY | O_DIRECTORY));
    auto folder = std::make_shared<SourceFolder>(std::move(fd), parent, name);
    NameList names = CASTORE_TRY_WHILE(list(folder->fd.get()), "listing {}", parent->path_of(name));
    levels_.push_back({std::move(folder), std::move(names)});
    return emit(SourceItem::Kind::kEnterFolder, std::move(parent), std::move(name));
  }

  Result<NameList> list(int fd) {
    NameList names;
    for (;;) {
      ssize_t length = ::getdents64(fd, listing_.data(), listing_.size());
      if (length < 0) return std::unexpected(Error::from_errno(errno, "reading its entries"));
      if (length == 0) break;
      for (ssize_t at = 0; at < length;) {
        auto* entry = reinterpret_cast<const dirent64*>(listing_.data() + at);
        at += entry->d_reclen;
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
        names.add(entry->d_name, entry->d_type);
      }
      // No directory could hold more; no reason to let a hostile disk fill the memory.
      if (names.count() > kDirectoryEntriesMax || names.bytes() > kDirectoryBytesMax)
        return fail(ErrorKind::kExhausted, "it has more than {} entries or {} bytes of names",
                    kDirectoryEntriesMax, kDirectoryBytesMax);
    }
    names.sort();
    // While others rename entries, the kernel may list one of them twice.
    if (names.has_twins()) return fail(ErrorKind::kUnavailable, "it changed while it was listed");
    return names;
  }

  Result<void> emit(SourceItem::Kind kind, std::shared_ptr<SourceFolder> folder, std::string name) {
    if (!emit_({.kind = kind, .folder = std::move(folder), .name = std::move(name)}))
      return fail(ErrorKind::kCancelled, "interrupted");
    return {};
  }

  const EmitItem& emit_;
  std::vector<Level> levels_;  // outermost first
  std::vector<char> listing_;
};

std::string_view describe_file_type(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return "a named pipe (fifo)";
    case S_IFSOCK:
      return "a socket";
    case S_IFCHR:
      return "a character device";
    case S_IFBLK:
      return "a block device";
    case S_IFDIR:
      return "a folder now";
    case S_IFLNK:
      return "a symlink now";
    default:
      return "of an unknown kind";
  }
}

}  // namespace

void walk_tree(const std::string& root, const EmitItem& emit) {
  TreeWalk(emit).run(root);
}

Result<UniqueFd> open_entry(const SourceFolder& folder, const std::string& name, int flags) {
  flags |= O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  for (;;) {
    int fd = ::openat(folder.fd.get(), name.c_str(), flags | O_NOATIME);
    // Only the owner may leave the time of reading alone.
    if (fd < 0 && errno == EPERM) fd = ::openat(folder.fd.get(), name.c_str(), flags);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return fail_errno(errno, "opening {}", folder.path_of(name));
  }
}

Error unsupported_file_type(const std::string& path, mode_t mode) {
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("unsupported file type at {}: it is {}; folders, regular files and "
                           "symlinks can be imported",
                           path, describe_file_type(mode)));
}

}  // namespace castore::transfer
