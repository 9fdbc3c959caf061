// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The places are taken as detached mounts first (open_tree), by their names in the old root. Then
// the new root is mounted somewhere, the places are attached in it, it becomes the root, and the
// old one, which is then stacked upon it, is unmounted.
#include "sandbox/private_root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"

namespace castore::sandbox {
namespace {

// Where the new root hangs for a moment, seen by nobody else: a folder that every system has.
constexpr const char* kAnchor = "/tmp";
constexpr const char* kRootBytesMax = "64k";  // folder names are all that is in it
constexpr uint64_t kInert = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

struct Taken {
  std::string path;
  UniqueFd mount;
};

Result<void> set_attributes(int mount, uint64_t attributes, unsigned flags) {
  struct mount_attr changed = {};
  changed.attr_set = attributes;
  if (::mount_setattr(mount, "", AT_EMPTY_PATH | flags, &changed, sizeof changed) != 0)
    return fail_errno(errno, "restricting a mount");
  return {};
}

// Nothing when there is no such place.
Result<std::optional<Taken>> take(const std::string& path, uint64_t attributes) {
  UniqueFd mount(
      ::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!mount) {
    if (errno == ENOENT) return std::nullopt;
    return fail_errno(errno, "taking {} into the sandbox", path);
  }
  CASTORE_TRY_WHILE(set_attributes(mount.get(), attributes, AT_RECURSIVE),
                    "taking {} into the sandbox", path);
  return Taken{path, std::move(mount)};
}

Result<std::vector<Taken>> take_all(const VisiblePlaces& places) {
  std::vector<Taken> taken;
  for (const std::string& folder : places.folders)
    if (auto found = CASTORE_TRY(take(folder, kInert | MOUNT_ATTR_RDONLY)))
      taken.push_back(*std::move(found));
  // What lies in another comes after it.
  std::ranges::sort(taken, {}, [](const Taken& place) { return place.path.size(); });
  for (const std::string& file : places.written_files)
    if (auto found = CASTORE_TRY(take(file, kInert))) taken.push_back(*std::move(found));
  return taken;
}

Result<UniqueFd> make_empty_file_system() {
  UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_SET_STRING, "size", kRootBytesMax, 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", "0755", 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail_errno(errno, "making an empty file system");
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, kInert));
  if (!mount) return fail_errno(errno, "making an empty file system");
  return mount;
}

Result<void> attach(const Taken& place) {
  // The working folder is the new root.
  std::string name = place.path.substr(std::min(place.path.find_first_not_of('/'),  //
                                                place.path.size()));
  struct stat status;
  if (::stat(name.c_str(), &status) != 0) CASTORE_TRY(make_folders(name, 0755));
  if (::move_mount(place.mount.get(), "", AT_FDCWD, name.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return fail_errno(errno, "showing {} in the sandbox", place.path);
  return {};
}

Result<void> make_root(int mount) {
  constexpr std::string_view kDoing = "changing to the empty root";
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_errno(errno, "{}", kDoing);
  if (::umount2(".", MNT_DETACH) != 0) return fail_errno(errno, "{}: leaving the old one", kDoing);
  if (::chdir("/") != 0) return fail_errno(errno, "{}", kDoing);
  return set_attributes(mount, MOUNT_ATTR_RDONLY, 0);
}

}  // namespace

Result<void> enter_private_root(const VisiblePlaces& places) {
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno(errno, "making a mount namespace");
  // What is mounted here is not to be seen elsewhere.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return fail_errno(errno, "making a mount namespace");
  std::vector<Taken> taken = CASTORE_TRY(take_all(places));
  UniqueFd root = CASTORE_TRY(make_empty_file_system());
  if (::move_mount(root.get(), "", AT_FDCWD, kAnchor, MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return fail_errno(errno, "mounting an empty file system");
  if (::fchdir(root.get()) != 0) return fail_errno(errno, "changing to the empty root");
  for (const Taken& place : taken) CASTORE_TRY(attach(place));
  return make_root(root.get());
}

}  // namespace castore::sandbox
