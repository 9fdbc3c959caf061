// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/mount_table.h"

#include <algorithm>
#include <cstddef>

#include "fuse_device/mount.h"

namespace castore::cli {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

// The kernel writes space, tab, newline, '#' and backslash as three octal digits.
std::string unescape(std::string_view field) {
  std::string text;
  for (size_t i = 0; i < field.size(); i++) {
    if (field[i] == '\\' && i + 3 < field.size() && is_octal(field[i + 1]) &&
        is_octal(field[i + 2]) && is_octal(field[i + 3])) {
      int value = (field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0');
      text.push_back(static_cast<char>(value));
      i += 3;
    } else {
      text.push_back(field[i]);
    }
  }
  return text;
}

}  // namespace

// id parent device root MOUNTPOINT options [tags...] - TYPE SOURCE super-options
std::vector<CastoreMount> castore_mounts(std::string_view mountinfo) {
  constexpr ptrdiff_t kMountpointField = 4;
  std::vector<CastoreMount> mounts;
  for (std::string_view line : split(mountinfo, '\n')) {
    std::vector<std::string_view> fields = split(line, ' ');
    auto dash = std::ranges::find(fields, "-");
    if (fields.end() - dash < 3 || dash - fields.begin() <= kMountpointField) continue;
    if (dash[1] != fuse_device::kFilesystemType) continue;
    mounts.push_back({unescape(fields[kMountpointField]), unescape(dash[2])});
  }
  return mounts;
}

}  // namespace castore::cli
