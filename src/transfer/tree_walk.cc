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

// Folders on the way down that are kept open. One more is while the next is entered.
constexpr size_t kLevelsOpenMax = kWalkFoldersMin - 1;

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
  TreeWalk(OpenFolders& folders, const EmitItem& emit)
      : folders_(folders), emit_(emit), listing_(kListingBufferBytes) {}

  void run(const std::string& root) {
    Result<void> walked = visit(start_, root, DT_UNKNOWN);
    while (walked && !levels_.empty()) walked = step();
    if (!walked)
      (void)emit_({.kind = SourceItem::Kind::kFailure,
                   .folder = start_,
                   .name = root,
                   .outcome = std::move(walked).error()});
  }

 private:
  struct Level {
    std::shared_ptr<SourcePlace> place;
    std::shared_ptr<SourceFolder> folder;  // null while too many levels below are open
    dev_t device = 0;                      // of the folder, known once it was closed
    ino_t inode = 0;
    NameList names;
    size_t next = 0;
  };

  // The next entry of the innermost folder, or its end.
  Result<void> step() {
    Level& level = levels_.back();
    if (level.next == level.names.count()) return leave();
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
    auto folder =
        CASTORE_TRY(open(*parent, name, std::make_shared<SourcePlace>(parent->place, name)));
    NameList names = CASTORE_TRY_WHILE(list(folder->fd.get()), "listing {}", parent->path_of(name));
    if (levels_.size() >= kLevelsOpenMax)
      CASTORE_TRY(close(levels_[levels_.size() - kLevelsOpenMax]));
    levels_.push_back(
        {.place = folder->place, .folder = std::move(folder), .names = std::move(names)});
    return emit(SourceItem::Kind::kEnterFolder, std::move(parent), std::move(name));
  }

  // Back to the level above, which is opened again if it was closed.
  Result<void> leave() {
    const Level left = std::move(levels_.back());
    levels_.pop_back();
    if (levels_.empty()) return emit(SourceItem::Kind::kLeaveFolder, start_, left.place->name);
    Level& level = levels_.back();
    if (!level.folder) {
      level.folder = CASTORE_TRY(open(*left.folder, "..", level.place));
      struct stat status = CASTORE_TRY(attributes_of(*level.folder));
      if (status.st_dev != level.device || status.st_ino != level.inode)
        return fail(ErrorKind::kUnavailable, "{} was moved to another folder while it was read",
                    left.folder->path_of("."));
    }
    return emit(SourceItem::Kind::kLeaveFolder, level.folder, left.place->name);
  }

  Result<std::shared_ptr<SourceFolder>> open(const SourceFolder& from, const std::string& name,
                                             std::shared_ptr<SourcePlace> place) {
    auto slot = folders_.acquire();
    if (!slot) return std::unexpected(interrupted());
    UniqueFd fd = CASTORE_TRY(open_entry(from, name, O_RDONLY | O_DIRECTORY));
    return std::make_shared<SourceFolder>(std::move(fd), std::move(place), *std::move(slot));
  }

  // Puts the path together only for a message: it is as long as the tree is deep.
  static Result<struct stat> attributes_of(const SourceFolder& folder) {
    struct stat status;
    if (::fstat(folder.fd.get(), &status) != 0)
      return fail_errno(errno, "reading the attributes of {}", folder.path_of("."));
    return status;
  }

  // Entries that were emitted keep it open for as long as they need it.
  static Result<void> close(Level& level) {
    if (!level.folder) return {};
    struct stat status = CASTORE_TRY(attributes_of(*level.folder));
    level.device = status.st_dev;
    level.inode = status.st_ino;
    level.folder.reset();
    return {};
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
      return std::unexpected(interrupted());
    return {};
  }

  static Error interrupted() { return Error(ErrorKind::kCancelled, "interrupted"); }

  OpenFolders& folders_;
  const EmitItem& emit_;
  // Where the root is named from.
  const std::shared_ptr<SourceFolder> start_ =
      std::make_shared<SourceFolder>(UniqueFd(AT_FDCWD), nullptr);
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

void walk_tree(const std::string& root, OpenFolders& folders, const EmitItem& emit) {
  TreeWalk(folders, emit).run(root);
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
