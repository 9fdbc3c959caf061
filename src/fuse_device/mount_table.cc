// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/mount_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/file.h"

namespace castore::fuse_device {
namespace {

constexpr size_t kTableBytesMax = size_t{64} << 20;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

// The kernel writes white space and backslashes as a backslash and three octal digits.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                      (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// "36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/root rw": any number of fields
// before the lone dash.
std::optional<MountLine> parse_line(std::string_view text) {
  constexpr size_t kFieldsBeforeOptional = 6;
  std::vector<std::string_view> fields = split(text, ' ');
  auto dash = std::find(fields.begin(), fields.end(), "-");
  if (dash - fields.begin() < static_cast<ptrdiff_t>(kFieldsBeforeOptional) ||
      fields.end() - dash < 3)
    return std::nullopt;
  return MountLine{.device = std::string(fields[2]),
                   .mount_point = unescape(fields[4]),
                   .type = unescape(dash[1]),
                   .source = unescape(dash[2])};
}

}  // namespace

std::optional<MountLine> find_mount(std::string_view mountinfo, std::string_view path) {
  std::optional<MountLine> found;
  for (std::string_view text : split(mountinfo, '\n')) {
    auto line = parse_line(text);
    if (line && line->mount_point == path) found = std::move(line);
  }
  return found;
}

Result<std::optional<MountLine>> mount_at(std::string_view path) {
  std::string table = CASTORE_TRY_WHILE(read_whole_file("/proc/self/mountinfo", kTableBytesMax),
                                        "finding out what is mounted at {}", path);
  return find_mount(table, path);
}

}  // namespace castore::fuse_device
