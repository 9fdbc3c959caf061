// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/context.h"
#include "fs/root.h"
#include "store/blob_service.h"
#include "store/directory_service.h"

namespace castore::fs {

// How a filesystem call fails. One function of each transport translates these to its own numbers.
enum class Fault {
  kNoEntry,  // no such name, or a node that is not known
  kNotDirectory,
  kIsDirectory,
  kInvalid,
  kNotPermitted,  // listing a root that is not to be listed
  kNoAttribute,   // no such extended attribute
  kBufferTooSmall,
  kBeyondEnd,       // seeking at or past the end of the content
  kNotImplemented,  // switched off; the kernel need not ask again
  kIo,              // the store failed or lacks an object it should have; the log says which
  kTimedOut,
  kInterrupted,
  kTooMuchHeld,  // by handles that are open; the log says of what
  kWouldWait,    // only by waiting, and the context does not allow that: ask again where it can
};

template <typename T>
using FsResult = std::expected<T, Fault>;

// Names one node towards the kernel (or guest). 1 is the root. Never reused for anything else while
// the filesystem lives.
using NodeId = uint64_t;
inline constexpr NodeId kRootNode = 1;

// Names one open file or folder. Never kNoHandle, never reused.
using HandleId = uint64_t;
inline constexpr HandleId kNoHandle = 0;

enum class FileType : uint8_t { kDirectory, kRegular, kSymlink };

struct Attributes {
  uint64_t inode = 0;  // st_ino: the same for equal content, on every mount
  FileType type = FileType::kRegular;
  uint16_t permissions = 0;  // 0444 or 0555
  uint64_t size = 0;
  uint64_t blocks = 0;  // of 512 bytes
  uint32_t link_count = 1;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime_s = 0;
};

struct Entry {
  NodeId node = 0;
  Attributes attributes;
};

// One line of a listing. `next_offset` is where a listing goes on after it.
struct ListedEntry {
  std::string_view name;
  uint64_t next_offset = 0;
  FileType type = FileType::kRegular;
  uint64_t inode = 0;
};

// A file on the local disk that holds nothing but the content. The descriptor is valid while this
// object lives.
struct BackingFile {
  int fd = -1;
  std::shared_ptr<const void> keep_alive;
};

// Where the bytes of a read lie in such a file.
struct FileRange {
  BackingFile file;
  uint64_t offset = 0;
  size_t size = 0;
};

// What `read` found: `bytes` is valid while this object lives (and, where the bytes were copied to
// the caller's buffer, while that does). Or, to who asked for it so, where the bytes lie.
struct ReadBytes {
  ByteView bytes;
  Bytes keep_alive;
  std::optional<FileRange> range;
};

// What is kept of something that can be fetched again.
struct CacheUse {
  uint64_t bytes = 0;  // now
  // How often it was there when it was asked for, and was not, since the beginning.
  uint64_t hits = 0;
  uint64_t misses = 0;
};

struct Totals {
  uint64_t nodes = 0;  // nodes the kernel knows now
  uint64_t node_bytes = 0;
  uint64_t handles = 0;
  uint64_t handle_bytes = 0;  // content and listings of the root that are held for them
  // By all filesystems that share them.
  CacheUse directories;
  CacheUse blobs;
};

enum class SeekFor { kData, kHole };

// Which extended attributes show a node's digest.
enum class XattrNames { kNone, kSnix, kTvix, kBoth };

struct FilesystemOptions {
  bool list_root = false;
  XattrNames xattr_names = XattrNames::kSnix;
  int64_t mtime_s = 1;  // of every node; 1 is what Nix store objects carry
  uint32_t uid = 0;
  uint32_t gid = 0;
  size_t handle_bytes_max = size_t{64} << 20;  // held for what is open, as `open` and `list` say
};

class ContentCache;

// The read-only filesystem: a root of named trees over the store's services. It knows no protocol;
// FUSE and virtiofs both feed it. docs/ARCHITECTURE.md has the picture, docs/protocols/fuse.md what
// each operation answers.
//
// Nodes. Every place of a directory has its own node: a node shared between two places would make
// the kernel move the directory from one to the other under a process standing in it. Files and
// symlinks with equal content (and equal executable bit) share one node wherever they are, so the
// kernel caches their pages once. A node lives while the kernel holds references to it: each
// `lookup`, and each entry of `list_plus` that was taken, adds one; `forget` takes them back.
//
// Inode numbers are derived from content (a hash of kind, digest and executable bit), so they are
// the same after a remount and for equal content.
//
//   Threads   any method, any thread, at the same time. No lock is held while a service is asked.
//   Blocking  lookup, list, open and read may wait for a service, unless the context says not to:
//             then what would wait is kWouldWait and has changed nothing.
//   Errors    store errors of any kind are kIo to the caller and a line with digest and path in the
//             log.
class Filesystem {
 public:
  // Out of what this cache has, or fetches.
  Filesystem(std::shared_ptr<ContentCache> content, std::shared_ptr<RootProvider> root,
             FilesystemOptions options);
  // The same with a cache of its own.
  Filesystem(std::shared_ptr<store::BlobService> blobs,
             std::shared_ptr<store::DirectoryService> directories,
             std::shared_ptr<RootProvider> root, FilesystemOptions options);
  Filesystem(const Filesystem&) = delete;
  Filesystem& operator=(const Filesystem&) = delete;
  ~Filesystem();

  FsResult<Entry> lookup(const Context& ctx, NodeId parent, std::string_view name);

  // Takes back `count` references. Unknown nodes are ignored.
  void forget(NodeId node, uint64_t count);

  FsResult<Attributes> attributes(const Context& ctx, NodeId node);
  FsResult<std::string> readlink(const Context& ctx, NodeId node);

  // A file can be read without having been opened (handle kNoHandle): its blob is then kept at
  // hand for as long as there is room. The blob of an open one is held until it is released, as
  // far as `handle_bytes_max` goes; those opened beyond that are read as if they were not.
  FsResult<HandleId> open(const Context& ctx, NodeId node);
  // At most `size` bytes from `offset`; fewer only at the end. `scratch` (at least `size` bytes) is
  // used when the bytes are not in memory already.
  // Who can hand bytes of a file on without looking at them says that a range will do, and is given
  // one where they lie in one.
  FsResult<ReadBytes> read(const Context& ctx, NodeId node, HandleId handle, uint64_t offset,
                           size_t size, MutableByteView scratch, bool range_will_do = false);
  // Where the next data or hole is: content has no holes but the one at its end.
  FsResult<uint64_t> seek(const Context& ctx, NodeId node, HandleId handle, uint64_t offset,
                          SeekFor what);
  // The content of an open file as a file on the local disk, where it is one.
  std::optional<BackingFile> backing_file(HandleId handle);
  // The node it was opened for; nothing when it was not open.
  std::optional<NodeId> release(HandleId handle);

  // Asks no service: what stands in a root where names come and go is fetched when its handle is
  // first listed, and stays so for this handle. Handles that list the same share it. What would be
  // kept for them beyond `handle_bytes_max` is kTooMuchHeld, but where it would be the only
  // listing.
  FsResult<HandleId> open_directory(const Context& ctx, NodeId node);
  // Calls `take` for each entry from `offset` (0, or a `next_offset` seen before) on until it says
  // false: that entry was not taken and will be the first of the next call. Any offset, in any
  // order, is served; "." and ".." are not listed. A handle of another node is kIo; kNoHandle will
  // do but for a root where names come and go.
  using Take = std::function<bool(const ListedEntry& entry)>;
  FsResult<void> list(const Context& ctx, NodeId node, HandleId handle, uint64_t offset,
                      const Take& take);
  // The same with a looked-up node for each entry; a taken entry holds a reference.
  using TakePlus = std::function<bool(const ListedEntry& listed, const Entry& entry)>;
  FsResult<void> list_plus(const Context& ctx, NodeId node, HandleId handle, uint64_t offset,
                           const TakePlus& take);
  void release_directory(HandleId handle);

  FsResult<std::string> get_xattr(const Context& ctx, NodeId node, std::string_view name);
  // Names, each ended by a NUL.
  FsResult<std::string> list_xattr(const Context& ctx, NodeId node);

  // Whether listing the root gives other names from time to time. Where it does not, no folder has
  // to be opened before it is listed.
  bool root_changes() const;

  // For people: where a directory is and its digest, of a file the digest.
  std::string describe(NodeId node);

  // Nodes the kernel knows now, and what is open. Cheap enough to be asked at each request.
  uint64_t node_count() const;
  uint64_t handle_count() const;

  // The same with the memory for it. Takes the locks of all nodes in turn and looks at each block
  // of them, so it is for those who ask seldom.
  Totals totals();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace castore::fs
