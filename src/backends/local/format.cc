// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/format.h"

#include <dirent.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>

#include "base/file.h"

namespace castore::backends::local {
namespace {

// The whole content of STORE/format: this, the version in decimal, and a newline.
constexpr std::string_view kFormatPrefix = "castore local store, format ";
constexpr size_t kFormatFileBytesMax = 1024;

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

}  // namespace

Result<void> prepare_folder(const std::string& folder, OpenMode mode) {
  std::string path = folder + "/format";
  auto content = read_whole_file(path, kFormatFileBytesMax);
  if (content) return check_version(folder, *content);
  if (content.error().kind() != ErrorKind::kNotFound) return std::unexpected(content.error());
  if (mode == OpenMode::kExisting)
    return fail(ErrorKind::kNotFound, "there is no castore store in {}; `castore import` makes one",
                folder);
  if (!CASTORE_TRY(is_unused(folder)))
    return fail(ErrorKind::kUnsupported,
                "{} is not a castore store and not empty; choose another folder", folder);
  CASTORE_TRY(make_folders(folder, 0755));
  std::string text = fmt::format("{}{}\n", kFormatPrefix, kLocalFormatVersion);
  return write_file_atomically(path, bytes_of(text), 0644);
}

}  // namespace castore::backends::local
