// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/format.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

#include "backends/local/database.h"
#include "base/file.h"

namespace castore::backends::local {
namespace {

// The whole content of STORE/format: this, the version in decimal, and a newline.
constexpr std::string_view kFormatPrefix = "castore local store, format ";
constexpr size_t kFormatFileBytesMax = 1024;

// The files in it may be readable for all: nobody else gets to them.
constexpr mode_t kStoreFolderMode = 0700;

Result<void> check_version(const std::string& folder, std::string_view content) {
  uint32_t version = 0;
  std::string_view number = content;
  bool known = number.starts_with(kFormatPrefix) && number.ends_with("\n");
  if (known) {
    number.remove_prefix(kFormatPrefix.size());
    number.remove_suffix(1);
    auto [end, error] = std::from_chars(number.begin(), number.end(), version);
    known = error == std::errc() && end == number.end();
  }
  if (!known)
    return fail(ErrorKind::kUnsupported,
                "{}/format is not that of a castore store; choose another folder", folder);
  if (version != kLocalFormatVersion)
    return fail(ErrorKind::kUnsupported,
                "the store {} has format {}, this castore knows format {}; use a newer castore, "
                "or choose another folder",
                folder, version, kLocalFormatVersion);
  return {};
}

// Nothing to lose in it: empty, or a store whose making was cut off before the format was written.
Result<bool> is_unused(const std::string& folder) {
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), &::closedir);
  if (!listing) {
    if (errno == ENOENT) return true;
    return fail_errno(errno, "listing {}", folder);
  }
  while (const dirent* entry = ::readdir(listing.get())) {
    std::string_view name = entry->d_name;
    // A mount point of its own often has lost+found.
    if (name != "." && name != ".." && name != "lost+found" && !name.starts_with("format.tmp."))
      return false;
  }
  return true;
}

// Puts the names in `folder` on disk. One that we may not write to got no name from us.
Result<void> sync_names(const std::string& folder) {
  const char* path = folder.empty() ? "." : folder.c_str();
  if (::access(path, W_OK) != 0) return {};
  if (::access(path, R_OK) == 0) return sync_folder(path);
  ::sync();  // one that cannot be opened cannot be flushed alone
  return {};
}

// Makes `folder`, for its owner alone, and those it is in; on disk when it returns.
Result<void> make_store_folder(const std::string& folder) {
  if (::access(folder.c_str(), F_OK) == 0) return {};
  const std::filesystem::path parent = std::filesystem::path(folder).parent_path();
  // Of those above, how they are made is none of our business; that they are there is.
  const bool makes_parents = !parent.empty() && ::access(parent.c_str(), F_OK) != 0;
  if (makes_parents) CASTORE_TRY(make_folders(parent, 0755));
  CASTORE_TRY(make_folders(folder, kStoreFolderMode));
  CASTORE_TRY(sync_names(parent));
  for (auto above = parent; makes_parents && above.has_relative_path();) {
    above = above.parent_path();
    CASTORE_TRY(sync_names(above));
  }
  return {};
}

// Nothing: there is none.
Result<std::optional<std::string>> read_format(const std::string& folder) {
  auto content = read_whole_file(format_path(folder), kFormatFileBytesMax);
  if (content) return std::move(*content);
  if (content.error().kind() == ErrorKind::kNotFound) return std::nullopt;
  return std::unexpected(std::move(content).error());
}

Result<bool> has_content(const std::string& folder) {
  std::error_code error;
  bool is_empty = std::filesystem::is_empty(folder, error);
  if (!error) return !is_empty;
  if (error == std::errc::no_such_file_or_directory) return false;
  return fail_errno(error.value(), "listing {}", folder);
}

bool has_database(const std::string& folder) {
  struct stat status;
  return ::stat(database_path(folder).c_str(), &status) == 0 && status.st_size > 0;
}

// An empty database, which gets its name when it is on disk.
Result<void> make_database(const std::string& folder) {
  const std::string path = database_path(folder);
  const std::string unfinished = path + ".new";
  const auto remove = [](const std::string& name) -> Result<void> {
    if (::unlink(name.c_str()) == 0 || errno == ENOENT) return {};
    return fail_errno(errno, "removing {}", name);
  };
  CASTORE_TRY(remove(unfinished));  // of one who was killed here
  CASTORE_TRY(Database::open(unfinished, Database::Access::kWrite));
  CASTORE_TRY(remove(unfinished + "-lock"));
  if (::rename(unfinished.c_str(), path.c_str()) != 0)
    return fail_errno(errno, "renaming {} to {}", unfinished, path);
  return sync_folder(folder);
}

// The store is made before anything is stored in it, the database last.
Result<void> make_store(const std::string& folder) {
  CASTORE_TRY(make_store_folder(folder));
  // Two processes that make one store at once: the second finds it made.
  UniqueFd lock = CASTORE_TRY(open_file(folder, O_RDONLY | O_DIRECTORY));
  CASTORE_TRY(lock_store(lock, StoreLock::kExclusive));
  if (auto content = CASTORE_TRY(read_format(folder))) {
    CASTORE_TRY(check_version(folder, *content));
  } else {
    if (!CASTORE_TRY(is_unused(folder)))
      return fail(ErrorKind::kUnsupported,
                  "{} is not a castore store and not empty; choose another folder", folder);
    std::string text = fmt::format("{}{}\n", kFormatPrefix, kLocalFormatVersion);
    CASTORE_TRY(write_file_atomically(format_path(folder), bytes_of(text), 0644));
  }
  if (has_database(folder)) return {};
  return make_database(folder);
}

}  // namespace

std::string database_path(const std::string& store_folder) {
  return store_folder + "/database";
}

std::string without_trailing_slashes(std::string folder) {
  while (folder.size() > 1 && (folder.ends_with('/') || folder.ends_with("/."))) folder.pop_back();
  return folder;
}

// By the file that every store has. Not the folder: that one is locked while a store is made.
Result<UniqueFd> open_store_lock(const std::string& folder) {
  return open_file(format_path(folder), O_RDONLY);
}

Result<void> lock_store(const UniqueFd& fd, StoreLock lock) {
  while (::flock(fd.get(), lock == StoreLock::kShared ? LOCK_SH : LOCK_EX) != 0)
    if (errno != EINTR) return fail_errno(errno, "locking the store");
  return {};
}

Result<void> prepare_folder(const std::string& folder, OpenMode mode) {
  if (auto content = CASTORE_TRY(read_format(folder))) {
    CASTORE_TRY(check_version(folder, *content));
    if (has_database(folder)) return {};
    // A new database would know nothing of what is there.
    for (const char* objects : {"/packs", "/blobs"})
      if (CASTORE_TRY(has_content(folder + objects)))
        return fail(ErrorKind::kCorrupt,
                    "{} is gone, and {} holds what it knew about; put the database back, or move "
                    "the whole store away and import again",
                    database_path(folder), folder + objects);
  }
  if (mode == OpenMode::kExisting)
    return fail(ErrorKind::kNotFound, "there is no castore store in {}; `castore import` makes one",
                folder);
  return make_store(folder);
}

}  // namespace castore::backends::local
