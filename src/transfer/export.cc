// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/export.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "model/directory.h"
#include "model/limits.h"
#include "model/name.h"
#include "transfer/export_destination.h"
#include "transfer/message_path.h"
#include "transfer/remove_tree.h"
#include "transfer/task_group.h"

// The work in a tree of small files is that of the kernel, for each file: create, write, close.
// One thread walks the stored directories and creates the folders, which is little; the entries of
// each folder go to a pool in portions, so that a large folder is shared and a task is worth its
// handing over. Files are created relative to the open folder: the length of whole paths does not
// matter, and the kernel looks up one name instead of many.
//
// Open descriptors are few, whatever the tree: the walk keeps the folders of the lowest
// kLevelsOpenMax levels and goes up by "..", and the pool's queue holds a bounded number of others.
namespace castore::transfer {
namespace {

constexpr mode_t kFolderMode = 0755;
constexpr mode_t kExecutableMode = 0755;
constexpr mode_t kFileMode = 0644;

constexpr size_t kLevelsOpenMax = 32;
constexpr size_t kQueuedPortionsMax = 64;
constexpr size_t kPortionEntriesMax = 64;
constexpr uint64_t kPortionBytesMax = uint64_t{1} << 20;
constexpr uint64_t kPreallocatedBytesMin = uint64_t{4} << 20;

// A folder on disk that is being filled. Lives as long as anybody has work in it.
struct Folder {
  UniqueFd fd;
  std::string path;  // for messages
  dev_t device = 0;
  ino_t inode = 0;
};

// An entry to be created: a name in a folder.
struct Place {
  int folder_fd;
  const std::string& name;
  const std::string& path;  // for messages; where it will stand when all is done
};

std::string join(std::string_view folder, std::string_view name) {
  const std::string last = printable(name);
  std::string path;
  path.reserve(folder.size() + 1 + last.size());
  path.append(folder);
  if (!path.ends_with('/')) path += '/';
  path += last;
  return message_path(std::move(path));
}

// The umask, an inherited access list or a set-group-id folder may have changed what was asked for.
Result<struct stat> set_mode(int fd, const std::string& path, mode_t mode) {
  struct stat status = CASTORE_TRY(stat_fd(fd, path));
  if ((status.st_mode & 07777) != mode && ::fchmod(fd, mode) != 0)
    return fail_errno(errno, "setting the mode of {}", path);
  return status;
}

// What creates single files and symlinks; shared by all threads.
class EntryWriter {
 public:
  EntryWriter(const Context& ctx, const store::Services& services, Tally& tally)
      : ctx_(ctx), services_(services), tally_(tally) {}

  Result<void> write_symlink(const Place& place, std::string_view target) {
    if (::symlinkat(std::string(target).c_str(), place.folder_fd, place.name.c_str()) != 0)
      return fail_errno(errno, "creating symlink {}", place.path);
    ++tally_.symlinks;
    return {};
  }

  Result<void> write_file(const Place& place, const Digest& digest, uint64_t size,
                          bool executable) {
    // Before any room is taken for it: a recorded size may be anything.
    if (size >= kPreallocatedBytesMin) CASTORE_TRY(check_size(place, digest, size));
    const mode_t mode = executable ? kExecutableMode : kFileMode;
    int fd = ::openat(place.folder_fd, place.name.c_str(),
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return fail_errno(errno, "creating {}", place.path);
    UniqueFd file(fd);
    CASTORE_TRY(fill(file.get(), place, digest, size, mode));
    ++tally_.files;
    return {};
  }

 private:
  Result<void> check_size(const Place& place, const Digest& digest, uint64_t size) {
    auto reader = CASTORE_TRY_WHILE(services_.blobs->open(ctx_, digest), "writing {}", place.path);
    if (!reader) return absent(place, digest);
    if (reader->size() != size) return wrong_size(place, digest, reader->size(), size);
    return {};
  }

  Result<void> fill(int fd, const Place& place, const Digest& digest, uint64_t size, mode_t mode) {
    CASTORE_TRY(set_mode(fd, place.path, mode));
    if (size >= kPreallocatedBytesMin && ::fallocate(fd, 0, 0, static_cast<off_t>(size)) != 0 &&
        errno == ENOSPC)
      return fail_errno(ENOSPC, "taking {} bytes of room for {}", size, place.path);
    uint64_t written = 0;
    bool is_there =
        CASTORE_TRY_WHILE(store::stream_blob(ctx_, *services_.blobs, digest,
                                             [&](ByteView bytes) -> Result<void> {
                                               CASTORE_TRY(write_all(fd, bytes, place.path));
                                               written += bytes.size();
                                               tally_.bytes += bytes.size();
                                               return {};
                                             }),
                          "writing {}", place.path);
    if (!is_there) return absent(place, digest);
    if (written != size) return wrong_size(place, digest, written, size);
    return {};
  }

  static std::unexpected<Error> absent(const Place& place, const Digest& digest) {
    return fail(ErrorKind::kCorrupt, "writing {}: blob {} is not in the store", place.path, digest);
  }
  static std::unexpected<Error> wrong_size(const Place& place, const Digest& digest,
                                           uint64_t actual, uint64_t recorded) {
    return fail(ErrorKind::kCorrupt, "writing {}: blob {} has {} bytes, and the tree records {}",
                place.path, digest, actual, recorded);
  }

  const Context& ctx_;
  const store::Services& services_;
  Tally& tally_;
};

// Creates the folder and opens it.
Result<std::shared_ptr<Folder>> make_folder(const Place& place) {
  if (::mkdirat(place.folder_fd, place.name.c_str(), kFolderMode) != 0)
    return fail_errno(errno, "creating folder {}", place.path);
  auto open = [&] {
    return UniqueFd(::openat(place.folder_fd, place.name.c_str(),
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  };
  UniqueFd fd = open();
  // A umask may take even the owner's rights.
  if (!fd && errno == EACCES &&
      ::fchmodat(place.folder_fd, place.name.c_str(), kFolderMode, AT_SYMLINK_NOFOLLOW) == 0)
    fd = open();
  if (!fd) return fail_errno(errno, "opening the new folder {}", place.path);
  struct stat status = CASTORE_TRY(set_mode(fd.get(), place.path, kFolderMode));
  return std::make_shared<Folder>(Folder{std::move(fd), place.path, status.st_dev, status.st_ino});
}

class TreeExport {
 public:
  TreeExport(const Context& ctx, const store::Services& services, Tally& tally)
      : ctx_(ctx), services_(services), tally_(tally), writer_(ctx, services, tally) {}

  Result<void> run(const Place& place, const Node& root) {
    if (auto* file = std::get_if<FileNode>(&root))
      return writer_.write_file(place, file->digest, file->size, file->executable);
    if (auto* link = std::get_if<SymlinkNode>(&root))
      return writer_.write_symlink(place, link->target.text());
    return tasks_.finish(walk(place, std::get<DirectoryNode>(root).digest));
  }

 private:
  // A level of the walk: a folder whose own entries are on their way, and whose sub-folders are
  // made one after the other.
  struct Level {
    Digest digest;
    size_t next = 0;   // entry to go on with
    std::string path;  // of the folder, for messages
    dev_t device = 0;  // of the folder
    ino_t inode = 0;
    // Null while too many levels below are open.
    std::shared_ptr<Folder> folder;
    std::shared_ptr<const Directory> directory;
  };

  Result<void> walk(const Place& place, const Digest& root) {
    CASTORE_TRY(enter(place, root));
    while (!levels_.empty() && !tasks_.has_failed()) {
      CASTORE_TRY(ctx_.check());
      Level& level = levels_.back();
      const Directory& directory = *level.directory;
      while (level.next < directory.entry_count() &&
             directory.entry(level.next).kind != NodeKind::kDirectory)
        ++level.next;
      if (level.next == directory.entry_count()) {
        CASTORE_TRY(leave());
        continue;
      }
      const DirectoryEntry entry = directory.entry(level.next++);
      const std::string name(entry.name);
      const std::string path = join(level.folder->path, name);
      CASTORE_TRY(enter({level.folder->fd.get(), name, path}, entry.digest));
    }
    return {};
  }

  Result<void> enter(const Place& place, const Digest& digest) {
    if (levels_.size() > kTreeDepthMax)
      return fail(ErrorKind::kExhausted, "creating folder {}: more than {} levels deep", place.path,
                  kTreeDepthMax);
    auto directory = CASTORE_TRY(get(place.path, digest));
    auto folder = CASTORE_TRY(make_folder(place));
    ++tally_.directories;
    submit_entries(folder, directory);
    if (levels_.size() >= kLevelsOpenMax) {
      Level& upper = levels_[levels_.size() - kLevelsOpenMax];
      upper.folder.reset();
      upper.directory.reset();
    }
    levels_.push_back({.digest = digest,
                       .next = 0,
                       .path = folder->path,
                       .device = folder->device,
                       .inode = folder->inode,
                       .folder = std::move(folder),
                       .directory = std::move(directory)});
    return {};
  }

  // Back to the level above, which is opened again if it was closed.
  Result<void> leave() {
    Level left = std::move(levels_.back());
    levels_.pop_back();
    if (levels_.empty() || levels_.back().folder) return {};
    Level& level = levels_.back();
    const std::string& path = level.path;
    UniqueFd fd = CASTORE_TRY_WHILE(open_at(left.folder->fd.get(), "..", O_RDONLY | O_DIRECTORY),
                                    "returning to {}", path);
    struct stat status = CASTORE_TRY(stat_fd(fd.get(), path));
    if (status.st_dev != level.device || status.st_ino != level.inode)
      return fail(ErrorKind::kUnavailable, "{} was moved to another folder meanwhile",
                  left.folder->path);
    level.directory = CASTORE_TRY(get(path, level.digest));
    level.folder = std::make_shared<Folder>(Folder{std::move(fd), path, level.device, level.inode});
    return {};
  }

  Result<std::shared_ptr<const Directory>> get(const std::string& path, const Digest& digest) {
    auto directory = CASTORE_TRY_WHILE(services_.directories->get(ctx_, digest),
                                       "reading the directory for {}", path);
    if (!directory)
      return fail(ErrorKind::kCorrupt, "creating {}: directory {} is not in the store", path,
                  digest);
    return directory;
  }

  // Hands the folder's files and symlinks to the pool, a portion a task.
  void submit_entries(const std::shared_ptr<Folder>& folder,
                      const std::shared_ptr<const Directory>& directory) {
    size_t begin = 0;
    size_t count = 0;
    uint64_t bytes = 0;
    auto submit_until = [&](size_t end) {
      if (count > 0)
        tasks_.submit([this, folder, directory, begin, end] {
          return write_entries(*folder, *directory, begin, end);
        });
      begin = end;
      count = bytes = 0;
    };
    for (size_t i = 0; i < directory->entry_count(); ++i) {
      const DirectoryEntry entry = directory->entry(i);
      if (entry.kind == NodeKind::kDirectory) continue;
      ++count;
      bytes += std::min(entry.size, kPortionBytesMax);
      if (count >= kPortionEntriesMax || bytes >= kPortionBytesMax) submit_until(i + 1);
    }
    submit_until(directory->entry_count());
  }

  Result<void> write_entries(const Folder& folder, const Directory& directory, size_t begin,
                             size_t end) {
    for (size_t i = begin; i < end && !tasks_.has_failed(); ++i) {
      const DirectoryEntry entry = directory.entry(i);
      if (entry.kind == NodeKind::kDirectory) continue;
      CASTORE_TRY(ctx_.check());
      const std::string name(entry.name);
      const std::string path = join(folder.path, name);
      const Place place{folder.fd.get(), name, path};
      if (entry.kind == NodeKind::kSymlink)
        CASTORE_TRY(writer_.write_symlink(place, entry.target));
      else
        CASTORE_TRY(writer_.write_file(place, entry.digest, entry.size, entry.executable));
    }
    return {};
  }

  const Context& ctx_;
  const store::Services& services_;
  Tally& tally_;
  EntryWriter writer_;
  std::vector<Level> levels_;
  TaskGroup tasks_{"export", kQueuedPortionsMax};  // last: its threads use the others
};

Result<void> export_to(const ExportDestination& destination, const Context& ctx,
                       const store::Services& services, const Node& root, Tally& tally) {
  if (CASTORE_TRY(destination.exists())) return ExportDestination::exists_already();
  const int folder = destination.folder_fd();
  // A symlink is complete at once.
  if (std::holds_alternative<SymlinkNode>(root))
    return TreeExport(ctx, services, tally)
        .run({folder, destination.name(), destination.path()}, root);

  const std::string partial = CASTORE_TRY(destination.new_partial_name());
  Result<void> done =
      TreeExport(ctx, services, tally).run({folder, partial, destination.path()}, root);
  if (done) done = destination.give_name(partial);
  if (done) return {};
  if (auto removed = remove_tree(folder, partial); !removed)
    return fail(done.error().kind(), "{} (what was written is left in {}/{}: {})",
                done.error().message(), destination.folder_path(), partial,
                removed.error().message());
  return done;
}

}  // namespace

Result<void> export_tree(const Context& ctx, const store::Services& services, const Node& root,
                         const std::string& destination, Tally& tally) {
  auto opened =
      CASTORE_TRY_WHILE(ExportDestination::open(destination), "exporting to {}", destination);
  CASTORE_TRY_WHILE(export_to(opened, ctx, services, root, tally), "exporting to {}", destination);
  return {};
}

std::vector<std::string> find_partial_exports(const std::string& destination) {
  auto opened = ExportDestination::open(destination);
  if (!opened) return {};
  return opened->find_partial();
}

}  // namespace castore::transfer
