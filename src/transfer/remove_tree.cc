// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "model/name.h"

namespace castore::transfer {
namespace {

constexpr size_t kListingBufferBytes = 32 * 1024;

class TreeRemoval {
 public:
  explicit TreeRemoval(int top_fd) : top_fd_(top_fd), listing_(kListingBufferBytes) {}

  Result<void> run(const std::string& name) {
    CASTORE_TRY(enter(top_fd_, name));
    while (!levels_.empty()) {
      std::vector<std::string>& folders = levels_.back().folders;
      if (folders.empty()) {
        CASTORE_TRY(leave());
        continue;
      }
      const std::string next = std::move(folders.back());
      folders.pop_back();
      CASTORE_TRY(enter(current_.get(), next));
    }
    return {};
  }

 private:
  // A folder on the way down, emptied of all but these folders.
  struct Level {
    std::string name;
    dev_t device;
    ino_t inode;
    std::vector<std::string> folders;
  };

  Result<void> enter(int parent_fd, const std::string& name) {
    UniqueFd fd = CASTORE_TRY(open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    struct stat status = CASTORE_TRY(stat_fd(fd.get(), printable(name)));
    current_ = std::move(fd);
    levels_.push_back({name, status.st_dev, status.st_ino, {}});
    // Some file systems lose their place in a folder that is changed while it is listed.
    while (CASTORE_TRY(remove_files(levels_.back()))) {
    }
    return {};
  }

  // Up again, and away with the folder that is empty now.
  Result<void> leave() {
    const std::string name = std::move(levels_.back().name);
    levels_.pop_back();
    int parent_fd = top_fd_;
    if (levels_.empty()) {
      current_.reset();
    } else {
      UniqueFd parent = CASTORE_TRY(open_at(current_.get(), "..", O_RDONLY | O_DIRECTORY));
      struct stat status = CASTORE_TRY(stat_fd(parent.get(), printable(levels_.back().name)));
      if (status.st_dev != levels_.back().device || status.st_ino != levels_.back().inode)
        return fail(ErrorKind::kUnavailable, "{} was moved to another folder meanwhile",
                    printable(name));
      current_ = std::move(parent);
      parent_fd = current_.get();
    }
    if (::unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) != 0)
      return fail_errno(errno, "removing folder {}", printable(name));
    return {};
  }

  // Goes through the current folder once, and notes its folders. Whether anything was removed.
  Result<bool> remove_files(Level& level) {
    bool removed = false;
    level.folders.clear();
    if (::lseek(current_.get(), 0, SEEK_SET) < 0)
      return fail_errno(errno, "listing {}", printable(level.name));
    for (;;) {
      const ssize_t length = ::getdents64(current_.get(), listing_.data(), listing_.size());
      if (length < 0) return fail_errno(errno, "listing {}", printable(level.name));
      if (length == 0) return removed;
      for (ssize_t at = 0; at < length;) {
        auto* entry = reinterpret_cast<const dirent64*>(listing_.data() + at);
        at += entry->d_reclen;
        const char* name = entry->d_name;
        if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
        if (entry->d_type != DT_DIR) {
          if (::unlinkat(current_.get(), name, 0) == 0) {
            removed = true;
            continue;
          }
          if (errno == ENOENT) continue;
          if (errno != EISDIR) return fail_errno(errno, "removing {}", printable(name));
        }
        level.folders.emplace_back(name);
      }
    }
  }

  const int top_fd_;
  UniqueFd current_;           // the innermost level
  std::vector<Level> levels_;  // outermost first
  std::vector<char> listing_;
};

}  // namespace

Result<void> remove_tree(int folder_fd, const std::string& name) {
  CASTORE_CHECK(check_name(name) == std::nullopt, "what is removed is an entry of the folder");
  if (::unlinkat(folder_fd, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR) return fail_errno(errno, "removing {}", printable(name));
  return TreeRemoval(folder_fd).run(name);
}

}  // namespace castore::transfer
