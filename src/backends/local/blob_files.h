// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "digest/digest.h"

namespace castore::backends::local {

// A file being written that has no name in the blob folder yet. Destroyed without `publish`, it
// leaves nothing behind; nor does a process that dies.
struct UnnamedFile {
  UnnamedFile() = default;
  UnnamedFile(UnnamedFile&&) = default;
  UnnamedFile& operator=(UnnamedFile&&) = delete;
  ~UnnamedFile();

  UniqueFd fd;
  std::string temporary_path;  // empty where the filesystem can do without
};

// The files of large blobs: blobs/<first byte in hex>/<digest in hex>, mode 0444.
//
//   Threads  any method, any thread, also in several processes.
class BlobFiles {
 public:
  // `folder` is the store's. Creates what is missing and removes what dead processes left in tmp/.
  static Result<BlobFiles> open(const std::string& folder);

  Result<UnnamedFile> create() const;

  // Gives finished files their names, each `files[i]` that of `digests[i]`. When it returns,
  // content and names are on disk. A name that is there already is left as it is.
  struct Finished {
    const UnnamedFile* file;
    Digest digest;
  };
  Result<void> publish(std::span<const Finished> files) const;

  // Nothing when there is no such file.
  Result<std::optional<UniqueFd>> open_blob(const Digest& digest) const;

  std::string path_of(const Digest& digest) const;

 private:
  explicit BlobFiles(std::string folder) : folder_(std::move(folder)) {}

  Result<void> sweep_temporary_files() const;

  std::string folder_;
};

}  // namespace castore::backends::local
