// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/export_destination.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/file.h"

namespace castore::transfer {
namespace {

constexpr std::string_view kPartialMark = ".partial-";
constexpr size_t kRandomLetters = 6;

}  // namespace

Result<ExportDestination> ExportDestination::open(const std::string& destination) {
  std::string path = destination;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (path.empty()) return fail(ErrorKind::kInvalidArgument, "no destination is given");
  const size_t slash = path.rfind('/');
  std::string folder = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  std::string name = slash == path.npos ? path : path.substr(slash + 1);
  UniqueFd fd = CASTORE_TRY(open_file(folder, O_PATH | O_DIRECTORY));
  return ExportDestination(std::move(fd), std::move(folder), std::move(name), std::move(path));
}

Result<bool> ExportDestination::exists() const {
  if (name_.empty()) return true;
  struct stat status;
  if (::fstatat(folder_.get(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT) return false;
  return fail_errno(errno, "looking for {}", path_);
}

std::unexpected<Error> ExportDestination::exists_already() {
  return fail(ErrorKind::kInvalidArgument,
              "it exists already; an export creates its destination and never overwrites");
}

std::string ExportDestination::partial_prefix() const {
  return std::string(name_, 0, NAME_MAX - kPartialMark.size() - kRandomLetters)
      .append(kPartialMark);
}

Result<std::string> ExportDestination::new_partial_name() const {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz012345";
  for (;;) {
    unsigned char random[kRandomLetters];
    if (::getrandom(random, sizeof random, 0) != sizeof random)
      return fail_errno(errno, "making a name for what is written");
    std::string name = partial_prefix();
    for (unsigned char byte : random) name += kLetters[byte % kLetters.size()];
    struct stat status;
    if (::fstatat(folder_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return name;
  }
}

std::vector<std::string> ExportDestination::find_partial() const {
  const std::string prefix = partial_prefix();
  std::vector<std::string> found;
  std::error_code ended;  // what cannot be listed has nothing to show
  for (std::filesystem::directory_iterator entry(folder_path_, ended), end; !ended && entry != end;
       entry.increment(ended)) {
    const std::string name = entry->path().filename().string();
    if (name.size() == prefix.size() + kRandomLetters && name.starts_with(prefix))
      found.push_back(entry->path().string());
  }
  return found;
}

Result<void> ExportDestination::give_name(const std::string& partial) const {
  const int folder = folder_.get();
  if (::renameat2(folder, partial.c_str(), folder, name_.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EINVAL || errno == ENOSYS) {
    // Network file systems may know the plain form alone.
    if (CASTORE_TRY(exists())) return exists_already();
    if (::renameat(folder, partial.c_str(), folder, name_.c_str()) == 0) return {};
  }
  if (errno == EEXIST) return exists_already();
  return fail_errno(errno, "giving {} its name", path_);
}

}  // namespace castore::transfer
