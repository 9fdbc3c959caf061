// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "backends/local/tuning.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "digest/digest.h"

namespace castore::backends::local {

// A file being written that has no name in the blob folder yet. Destroyed without being named, it
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
  // `folder` is the store's.
  BlobFiles(std::string folder, const Tuning& tuning)
      : folder_(std::move(folder)), tuning_(tuning) {}

  // Creates what is missing and removes what dead processes left in tmp/.
  Result<void> prepare() const;

  Result<UnnamedFile> create() const;

  // Publishing finished files takes three steps, each for all of them: their content to disk, their
  // names, and the names to disk. What had a name of these already is replaced: nobody knows
  // what is in a file that the database does not vouch for.
  struct Finished {
    const UnnamedFile* file;
    Digest digest;
  };
  Result<void> flush(std::span<const Finished> files) const;
  Result<void> name(std::span<const Finished> files) const;
  Result<void> flush_names(std::span<const Finished> files) const;

  // Nothing when there is no such file.
  Result<std::optional<UniqueFd>> open_blob(const Digest& digest) const;

  // Whether there is such a file, and it has `size` bytes.
  bool has_blob(const Digest& digest, uint64_t size) const;

  // Takes the file of a damaged blob out of the way, to damaged/. None there is fine.
  Result<void> set_aside(const Digest& digest) const;

  std::string path_of(const Digest& digest) const;

 private:
  std::string folder_of(const Digest& digest) const;
  std::string random_temporary_path() const;
  Result<void> name(const Finished& finished) const;
  Result<void> replace(const Finished& finished, const std::string& source) const;
  Result<void> sweep_temporary_files() const;

  std::string folder_;
  Tuning tuning_;
};

}  // namespace castore::backends::local
