// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/import_name.h"

#include "cli/display.h"
#include "nix/store_path.h"

namespace castore::cli {
namespace {

// Without trailing slashes and "." components, which say nothing.
std::string_view without_empty_end(std::string_view path) {
  for (;;) {
    if (path.ends_with('/'))
      path.remove_suffix(1);
    else if (path == "." || path.ends_with("/."))
      path.remove_suffix(1);
    else
      return path;
  }
}

}  // namespace

Result<std::string> import_name(std::string_view path) {
  std::string_view trimmed = without_empty_end(path);
  std::string_view name = trimmed.substr(trimmed.rfind('/') + 1);
  if (name.empty() || name == "..")
    return fail(ErrorKind::kInvalidArgument,
                "the path has no name of its own; give one with --name");
  if (!is_utf8(name))
    return fail(ErrorKind::kInvalidArgument, "the name {} is not UTF-8; give another with --name",
                display_text(name));
  CASTORE_TRY_WHILE(nix::check_store_path_name(name),
                    "as a store path name (--name gives another)");
  return std::string(name);
}

}  // namespace castore::cli
