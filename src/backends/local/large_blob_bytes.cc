// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/large_blob_bytes.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

namespace castore::backends {
namespace {

constexpr int kFolders = 256;  // one for each first byte of a digest

}  // namespace

Result<uint64_t> large_blob_bytes(const Context& ctx, const std::string& folder) {
  uint64_t bytes = 0;
  for (int first = 0; first < kFolders; ++first) {
    const std::string path = fmt::format("{}/blobs/{:02x}", folder, first);
    std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(path.c_str()), &::closedir);
    if (!listing && errno == ENOENT) continue;
    if (!listing) return fail_errno(errno, "listing {}", path);
    while (const dirent* entry = ::readdir(listing.get())) {
      CASTORE_TRY(ctx.check());
      struct stat status;
      if (::fstatat(::dirfd(listing.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISREG(status.st_mode))
        bytes += static_cast<uint64_t>(status.st_size);
    }
  }
  return bytes;
}

}  // namespace castore::backends
