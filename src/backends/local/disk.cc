// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/disk.h"

#include "base/file.h"

namespace castore::backends::local {

Result<void> Disk::flush_file(int fd, const std::string& path) {
  return sync_file(fd, path);
}

Result<void> Disk::flush_folder(const std::string& path) {
  return sync_folder(path);
}

Result<void> Disk::commit(Database::Writer& writer) {
  return writer.commit();
}

}  // namespace castore::backends::local
