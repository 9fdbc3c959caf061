// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/shown_tree.h"

#include <utility>
#include <variant>

#include "cli/describe.h"
#include "transfer/resolve.h"

namespace castore::cli {

void ShownTree::Options::declare(OptionSet& options) {
  options.value("--root", "REF", root,
                "Show the entries of this folder: a digest, a store path, or REF/SUB/PATH");
  options.flag("--list-root", list_root,
               "Let the root be listed, not only its names be looked up (always with --root)");
  options.flag("--show-xattr", show_xattr,
               "Show digests as extended attributes; --show-xattr=false does not");
}

Result<ShownTree> ShownTree::open(const Context& ctx, const store::Services& services,
                                  const std::string& store_folder, const Options& options,
                                  std::string_view doing) {
  ShownTree shown;
  shown.services_ = services;
  shown.options_.list_root = options.list_root || options.root.has_value();
  shown.options_.xattr_names = options.show_xattr ? fs::XattrNames::kSnix : fs::XattrNames::kNone;
  if (!options.root) {
    shown.source_ = "castore:" + store_folder;
    shown.root_ = fs::path_info_root(services.path_infos);
    return shown;
  }
  auto found = CASTORE_TRY_WHILE(transfer::resolve(ctx, services, *options.root), "{} {}", doing,
                                 *options.root);
  const auto* node = std::get_if<DirectoryNode>(&found.node);
  if (node == nullptr)
    return fail(ErrorKind::kInvalidArgument, "{} {}: it is no folder but a {}", doing,
                *options.root, to_string(kind_of(found.node)));
  shown.source_ = "castore:" + node->digest.to_text();
  shown.root_ =
      fs::directory_root(CASTORE_TRY(get_directory(ctx, services, node->digest, *options.root)));
  return shown;
}

std::shared_ptr<fs::Filesystem> ShownTree::make_filesystem() const {
  return std::make_shared<fs::Filesystem>(services_.blobs, services_.directories, root_, options_);
}

}  // namespace castore::cli
