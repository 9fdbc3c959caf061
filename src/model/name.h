// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace castore {

// Why a byte string cannot be the name of a directory entry (one path component).
enum class NameFault { kEmpty, kParent, kCurDir, kTooLong, kNull, kSlashes };

// "cannot be empty" and so on.
std::string_view describe(NameFault fault);

// Nothing when `name` is valid: 1 to 255 bytes, not "." or "..", without NUL and '/'. Any other
// bytes are fine, UTF-8 or not. When several rules are broken, the first in the order of
// NameFault wins.
std::optional<NameFault> check_name(std::string_view name);

// As a Result: kInvalidArgument "unable to convert '<name>': <why>".
Result<void> require_valid_name(std::string_view name);

// The bytes as text for people: printable characters as they are, all others as \xNN.
std::string printable(std::string_view bytes);

// Splits "a/b/c" into names. The empty path has none. kInvalidArgument when a name is not valid,
// which includes a leading, trailing or doubled slash.
Result<std::vector<std::string>> parse_relative_path(std::string_view path);

}  // namespace castore
