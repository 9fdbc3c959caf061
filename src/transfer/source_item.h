// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/bytes.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "model/node.h"
#include "transfer/open_folders.h"

// What passes between the threads that ingest a folder. Internal to transfer/.
namespace castore::transfer {

// Where a folder of the source stands, for messages. Outlives the time the folder is open.
struct SourcePlace {
  SourcePlace(std::shared_ptr<SourcePlace> parent_in, std::string name_in)
      : parent(std::move(parent_in)), name(std::move(name_in)) {}
  SourcePlace(const SourcePlace&) = delete;
  SourcePlace& operator=(const SourcePlace&) = delete;
  ~SourcePlace();

  std::shared_ptr<SourcePlace> parent;  // null for the root of the import
  std::string name;                     // of the root: as the user wrote it
};

// A filesystem whose ctime can be relied on to change with a file, for ever.
struct SourceFilesystem {
  dev_t device = 0;
  uint64_t id = 0;  // f_fsid
};
// Nothing where it cannot: what comes out of an image has the times that the image's maker chose,
// and the next image has its device and inode numbers. Of a network nobody knows.
std::optional<SourceFilesystem> lasting_filesystem(int fd);

// An open folder of the source. Entries are reached through its descriptor, so that neither depth
// nor the length of paths matters and nobody can exchange a folder on the way for a symlink.
struct SourceFolder {
  SourceFolder(UniqueFd fd_in, std::shared_ptr<SourcePlace> place_in,
               OpenFolders::Slot slot_in = {})
      : slot(std::move(slot_in)),
        fd(std::move(fd_in)),
        place(std::move(place_in)),
        filesystem(lasting_filesystem(fd.get())) {}

  // The path of an entry, for messages.
  std::string path_of(std::string_view entry) const;

  OpenFolders::Slot slot;              // before fd, to be given back after it is closed
  UniqueFd fd;                         // AT_FDCWD for the place the root is named from
  std::shared_ptr<SourcePlace> place;  // null there
  std::optional<SourceFilesystem> filesystem;
};

// A file whose blob is stored. `contents` are those of a file that was read just now, when they
// were asked for.
struct StoredFile {
  FileNode node;
  std::optional<Bytes> contents;
};

// A file that is too large to be held in memory and must be streamed.
struct LargeFile {};

// What became of an entry of the source.
using SourceOutcome = std::variant<std::monostate, StoredFile, LargeFile, SymlinkNode, Error>;

// One step of the depth-first walk over the source.
struct SourceItem {
  enum class Kind { kEnterFolder, kLeaveFolder, kFile, kSymlink, kFailure };

  Kind kind = Kind::kFailure;
  std::shared_ptr<SourceFolder> folder;  // the one that holds the entry
  std::string name;
  SourceOutcome outcome{};

  std::string path() const { return folder->path_of(name); }
};

}  // namespace castore::transfer
