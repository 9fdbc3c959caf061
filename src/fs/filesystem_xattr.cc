// SPDX-License-Identifier: MIT OR Apache-2.0
// Extended attributes: the digest of a directory or file, by the names of castore's family.
#include <array>
#include <optional>

#include "base/base64.h"
#include "fs/filesystem.h"
#include "fs/filesystem_state.h"

namespace castore::fs {
namespace {

struct DigestAttribute {
  std::string_view name;
  XattrNames family;
  FileType type;
};

constexpr std::array<DigestAttribute, 4> kDigestAttributes{{
    {"user.snix.castore.directory.digest", XattrNames::kSnix, FileType::kDirectory},
    {"user.snix.castore.blob.digest", XattrNames::kSnix, FileType::kRegular},
    {"user.tvix.castore.directory.digest", XattrNames::kTvix, FileType::kDirectory},
    {"user.tvix.castore.blob.digest", XattrNames::kTvix, FileType::kRegular},
}};

bool is_shown(const DigestAttribute& attribute, XattrNames shown, FileType type) {
  return attribute.type == type && (shown == XattrNames::kBoth || shown == attribute.family);
}

std::string value_text(XattrNames family, const Digest& digest) {
  if (family == XattrNames::kTvix) return "b3:" + base64_encode(digest.bytes());
  return digest.to_text();
}

}  // namespace

FsResult<std::string> Filesystem::get_xattr(const Context&, NodeId node, std::string_view name) {
  const XattrNames shown = state_->options.xattr_names;
  if (shown == XattrNames::kNone) return std::unexpected(Fault::kNotImplemented);
  if (auto content = state_->nodes.find(node))
    for (const DigestAttribute& attribute : kDigestAttributes)
      if (attribute.name == name && is_shown(attribute, shown, content->type))
        return value_text(attribute.family, content->digest);
  return std::unexpected(Fault::kNoAttribute);
}

FsResult<std::string> Filesystem::list_xattr(const Context&, NodeId node) {
  const XattrNames shown = state_->options.xattr_names;
  if (shown == XattrNames::kNone) return std::unexpected(Fault::kNotImplemented);
  std::string names;
  if (auto content = state_->nodes.find(node))
    for (const DigestAttribute& attribute : kDigestAttributes)
      if (is_shown(attribute, shown, content->type)) names.append(attribute.name).push_back('\0');
  return names;
}

}  // namespace castore::fs
