// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/render_nar.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/directory.h"
#include "model/limits.h"
#include "model/name.h"

namespace castore::transfer {
namespace {

// One depth-first walk that turns nodes into the writer's events.
class NarRendering {
 public:
  NarRendering(const Context& ctx, const store::Services& services, nix::NarSink& sink)
      : ctx_(ctx), services_(services), writer_(sink) {}

  Result<void> render(const Node& root) {
    if (auto* directory = std::get_if<DirectoryNode>(&root)) {
      CASTORE_TRY(enter(directory->digest));
    } else if (auto* file = std::get_if<FileNode>(&root)) {
      CASTORE_TRY(write_file(file->digest, file->size, file->executable));
    } else {
      CASTORE_TRY(writer_.symlink(std::get<SymlinkNode>(root).target.text()));
    }
    while (!open_.empty()) CASTORE_TRY(step());
    return writer_.finish();
  }

 private:
  struct OpenDirectory {
    std::shared_ptr<const Directory> directory;
    size_t next_entry = 0;
  };

  // Writes the next entry of the innermost directory, or its end.
  Result<void> step() {
    CASTORE_TRY(ctx_.check());
    OpenDirectory& innermost = open_.back();
    if (innermost.next_entry == innermost.directory->entry_count()) {
      open_.pop_back();
      return writer_.leave_directory();
    }
    DirectoryEntry entry = innermost.directory->entry(innermost.next_entry++);
    CASTORE_TRY(writer_.entry_name(entry.name));
    switch (entry.kind) {
      case NodeKind::kDirectory:
        return enter(entry.digest);
      case NodeKind::kFile:
        return write_file(entry.digest, entry.size, entry.executable);
      case NodeKind::kSymlink:
        return writer_.symlink(entry.target);
    }
    std::unreachable();
  }

  Result<void> enter(const Digest& digest) {
    if (open_.size() == kTreeDepthMax)
      return fail(ErrorKind::kExhausted, "{}: the tree is deeper than {} levels", place(),
                  kTreeDepthMax);
    auto directory = CASTORE_TRY_WHILE(services_.directories->get(ctx_, digest), "{}", place());
    if (!directory)
      return fail(ErrorKind::kCorrupt, "{}: the store does not have directory {}", place(), digest);
    CASTORE_TRY(writer_.enter_directory());
    open_.push_back({std::move(directory)});
    return {};
  }

  Result<void> write_file(const Digest& digest, uint64_t size, bool executable) {
    CASTORE_TRY(writer_.begin_file(size, executable));
    auto consume = [this, &digest](ByteView bytes) -> Result<void> {
      CASTORE_TRY_WHILE(writer_.contents(bytes), "blob {}", digest);
      return {};
    };
    bool found = CASTORE_TRY_WHILE(store::stream_blob(ctx_, *services_.blobs, digest, consume),
                                   "{}", place());
    if (!found)
      return fail(ErrorKind::kCorrupt, "{}: the store does not have blob {}", place(), digest);
    CASTORE_TRY_WHILE(writer_.end_file(), "{}: blob {}", place(), digest);
    return {};
  }

  // Where the walk is, for messages.
  std::string place() const {
    if (open_.empty()) return "the root";
    std::string path;
    for (const OpenDirectory& level : open_) {
      if (!path.empty()) path += '/';
      path += printable(level.directory->entry(level.next_entry - 1).name);
    }
    return path;
  }

  const Context& ctx_;
  const store::Services& services_;
  nix::NarWriter writer_;
  std::vector<OpenDirectory> open_;  // outermost first
};

}  // namespace

Result<void> render_nar(const Context& ctx, const store::Services& services, const Node& root,
                        nix::NarSink& sink) {
  return NarRendering(ctx, services, sink).render(root);
}

Result<store::NarSummary> summarize_nar(const Context& ctx, const store::Services& services,
                                        const Node& root) {
  nix::NarHashSink sink;
  CASTORE_TRY(render_nar(ctx, services, root, sink));
  return store::NarSummary{sink.size(), sink.finish()};
}

}  // namespace castore::transfer
