// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace castore::cli {

// The name an imported path gets in its store path: its last component. "a/b/", "a/./b" and
// "a/../b" give "b"; ".", "/" and what ends in ".." have no name of their own and are refused, and
// so is a name that a store path cannot carry.
Result<std::string> import_name(std::string_view path);

}  // namespace castore::cli
