// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/testing/temp_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/file.h"
#include "store/testing/must.h"

namespace castore::store::testing {
namespace {

void must_succeed(int status, const std::string& doing) {
  int saved = errno;
  if (status != 0) must(Result<void>(fail_errno(saved, "{}", doing)));
}

std::vector<std::string> names_in(int folder_fd, const std::string& path) {
  int own = ::openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must_succeed(own < 0 ? -1 : 0, "opening " + path);
  std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own), ::closedir);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

TempFolder::TempFolder() : path_(::testing::TempDir() + "castore-test-XXXXXX") {
  must_succeed(::mkdtemp(path_.data()) == nullptr ? -1 : 0, "creating a folder like " + path_);
}

TempFolder::~TempFolder() {
  remove_tree(path_);
}

std::string TempFolder::write_file(std::string_view name, std::string_view content,
                                   mode_t mode) const {
  std::string path = *this / name;
  UniqueFd fd = must(open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  must(write_all(fd.get(), bytes_of(content), path));
  must_succeed(::fchmod(fd.get(), mode), "setting the mode of " + path);
  return path;
}

std::string TempFolder::make_folder(std::string_view name, mode_t mode) const {
  std::string path = *this / name;
  must_succeed(::mkdir(path.c_str(), 0700), "creating " + path);
  must_succeed(::chmod(path.c_str(), mode), "setting the mode of " + path);
  return path;
}

std::string TempFolder::symlink(std::string_view name, const std::string& target) const {
  std::string path = *this / name;
  must_succeed(::symlink(target.c_str(), path.c_str()), "creating " + path);
  return path;
}

// What is in a folder is moved up to the top before the folder goes, so that no path is longer
// than two names and no more than two folders are open, however deep the tree is.
void remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return;
  (void)::chmod(path.c_str(), 0700);
  {
    UniqueFd top = must(open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    std::vector<std::string> pending = names_in(top.get(), path);
    uint64_t moved_count = 0;
    while (!pending.empty()) {
      std::string name = std::move(pending.back());
      pending.pop_back();
      if (::unlinkat(top.get(), name.c_str(), 0) == 0) continue;
      (void)::fchmodat(top.get(), name.c_str(), 0700, 0);
      UniqueFd folder = must(open_at(top.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      for (const std::string& child : names_in(folder.get(), name)) {
        if (::unlinkat(folder.get(), child.c_str(), 0) == 0) continue;
        (void)::fchmodat(folder.get(), child.c_str(), 0700, 0);
        std::string moved = ".removing-" + std::to_string(moved_count++);
        must_succeed(::renameat(folder.get(), child.c_str(), top.get(), moved.c_str()),
                     "moving " + child);
        pending.push_back(std::move(moved));
      }
      must_succeed(::unlinkat(top.get(), name.c_str(), AT_REMOVEDIR), "removing " + name);
    }
  }
  must_succeed(::rmdir(path.c_str()), "removing " + path);
}

}  // namespace castore::store::testing
