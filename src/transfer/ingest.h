// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/context.h"
#include "base/result.h"
#include "model/directory.h"
#include "model/node.h"
#include "nix/path_info.h"
#include "store/services.h"
#include "transfer/budget.h"
#include "transfer/tally.h"

// Bringing trees into a store: from folders (ingest_folder.cc) and tar archives (ingest_tar.cc).
//
// What is kept of a file is its bytes and its owner's execute bit; of a symlink its target; of a
// folder its names. Sockets, fifos and devices are errors naming the path, and so is a file that
// changes while it is read. Symlinks are never followed.
//
//   Memory     bounded, whatever the number and size of the files; what grows is one small record
//              for each entry of the folders that are open at the moment (archives: of all).
//   Failure    blobs and directories stored so far stay; nothing refers to them.
//   Durability the caller's: `services.sync`, or registering the path, which implies it.
namespace castore::transfer {

// What ingestions of folders that run side by side share, so that together they need little more
// than one alone.
struct IngestBudgets {
  Budget content_bytes{size_t{32} << 20};  // of files between being read and being done with
  Budget open_folders{48};
};

struct IngestOptions {
  SizeConvention size_convention = SizeConvention::kDocumented;
  bool compute_nar = false;                     // hash the NAR of the tree on the way
  std::shared_ptr<IngestBudgets> budgets = {};  // null: its own
};

struct Ingested {
  Node root;
  std::optional<store::NarSummary> nar;  // when asked for
};

// A folder, file or symlink; `path` itself is not followed either. `tally` may be watched.
Result<Ingested> ingest_path(const Context& ctx, const store::Services& services,
                             const std::string& path, const IngestOptions& options, Tally& tally);

// Which node of an archive becomes the root.
enum class ArchiveRoot {
  kSingle,  // the one top-level folder of the archive; anything else is an error (as peers do)
  kWhole,   // a folder holding everything on the archive's top level
};

// A tar archive, plain or compressed in a way libarchive reads, from a descriptor. `name` stands in
// messages.
Result<Ingested> ingest_archive(const Context& ctx, const store::Services& services, int fd,
                                std::string_view name, ArchiveRoot archive_root,
                                const IngestOptions& options, Tally& tally);

// Registers an ingested tree (with `nar`) under its content-addressed store path. What was ingested
// is durable when this returns.
Result<nix::PathInfo> register_path(const Context& ctx, const store::Services& services,
                                    std::string_view name, const Ingested& ingested);

}  // namespace castore::transfer
