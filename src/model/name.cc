// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/name.h"

#include "model/limits.h"

namespace castore {

std::string_view describe(NameFault fault) {
  switch (fault) {
    case NameFault::kEmpty:
      return "cannot be empty";
    case NameFault::kParent:
      return "cannot be '..'";
    case NameFault::kCurDir:
      return "cannot be '.'";
    case NameFault::kTooLong:
      return "cannot be over 255 bytes long";
    case NameFault::kNull:
      return "cannot contain null bytes";
    case NameFault::kSlashes:
      return "cannot contain slashes";
  }
  return "is not valid";
}

std::optional<NameFault> check_name(std::string_view name) {
  if (name.empty()) return NameFault::kEmpty;
  if (name == "..") return NameFault::kParent;
  if (name == ".") return NameFault::kCurDir;
  if (name.size() > kNameBytesMax) return NameFault::kTooLong;
  if (name.find('\0') != name.npos) return NameFault::kNull;
  if (name.find('/') != name.npos) return NameFault::kSlashes;
  return std::nullopt;
}

Result<void> require_valid_name(std::string_view name) {
  if (auto fault = check_name(name))
    return fail(ErrorKind::kInvalidArgument, "unable to convert '{}': {}", printable(name),
                describe(*fault));
  return {};
}

std::string printable(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (char c : bytes) {
    auto value = static_cast<unsigned char>(c);
    if (value >= 0x20 && value < 0x7f)
      text.push_back(c);
    else
      text += fmt::format("\\x{:02x}", value);
  }
  return text;
}

Result<std::vector<std::string>> parse_relative_path(std::string_view path) {
  std::vector<std::string> names;
  if (path.empty()) return names;
  for (;;) {
    size_t slash = path.find('/');
    std::string_view name = path.substr(0, slash);
    CASTORE_TRY(require_valid_name(name));
    names.emplace_back(name);
    if (slash == path.npos) return names;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace castore
