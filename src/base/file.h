// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"

// Thin blocking wrappers over system calls: they restart after EINTR, finish short transfers, and
// name the path in their errors. `path` beside a descriptor is only for the message.
namespace castore {

// openat(2) with O_CLOEXEC added.
Result<UniqueFd> open_at(int directory_fd, const std::string& path, int flags, mode_t mode = 0);
inline Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = 0) {
  return open_at(AT_FDCWD, path, flags, mode);
}

Result<struct stat> stat_fd(int fd, std::string_view path);

// Reads from `offset` until `out` is full or the file ends; gives the bytes read.
Result<size_t> read_at(int fd, uint64_t offset, MutableByteView out, std::string_view path);

// Reads from the current position until `out` is full or the stream ends; gives the bytes read.
Result<size_t> read_some(int fd, MutableByteView out, std::string_view path);

Result<void> write_at(int fd, uint64_t offset, ByteView bytes, std::string_view path);
Result<void> write_all(int fd, ByteView bytes, std::string_view path);

// The whole content of a small file. kExhausted when it is larger than `bytes_max`.
Result<std::string> read_whole_file(const std::string& path, size_t bytes_max);

// fdatasync(2) or, for a folder, fsync(2).
Result<void> sync_file(int fd, std::string_view path);
Result<void> sync_folder(const std::string& path);

// Replaces `path` so that a reader, also one after a crash, sees the old or the new content whole.
Result<void> write_file_atomically(const std::string& path, ByteView content, mode_t mode);

// mkdir -p; new folders get `mode`.
Result<void> make_folders(const std::string& path, mode_t mode);

// The calling process's soft descriptor limit, raised to its hard limit: a mount holds a descriptor
// for each large file that programs have open in it.
void raise_descriptor_limit();

}  // namespace castore
