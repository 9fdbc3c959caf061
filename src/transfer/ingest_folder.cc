// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Problem: a source tree is 80,000 small files or one of 100 GiB. Reading, hashing and storing must
// use all CPUs and keep the disk busy, while the NAR, a single hash over everything in order, is
// computed from the same bytes; and memory must not grow with either.
//
// Idea: three stages. A walker lists folders and emits entries in the order of the NAR. Workers
// read, hash and store small files as the entries come, several at a time. The calling thread takes
// the finished entries in order, hashes the NAR, and builds each directory when its folder is left.
// A bounded window between them keeps order and memory. Large files are left for the calling
// thread, which streams them when it is their turn.
//
// When a file is known from an earlier import it is not read, so its bytes are missing for the NAR.
// Then most likely the whole tree is known, and its NAR too: hashing is given up, and the hash
// looked up or, where that fails, computed from the store at the end.
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "model/directory.h"
#include "nix/nar_writer.h"
#include "transfer/ingest.h"
#include "transfer/open_folders.h"
#include "transfer/ordered_window.h"
#include "transfer/recall_nar.h"
#include "transfer/source_item.h"
#include "transfer/source_reader.h"
#include "transfer/tree_walk.h"

namespace castore::transfer {
namespace {

// What is between walker and calling thread at most, beside what the budgets allow.
constexpr size_t kWindowItemsMax = 1024;

// Reading waits for disks as well as for CPUs, so there are more workers than CPUs.
size_t worker_count() {
  return std::clamp<size_t>(2 * cpu_count(), 2, 16);
}

// The NAR of the tree as it is being read.
struct NarInProgress {
  nix::NarHashSink sink;
  nix::NarWriter writer{sink};
};

class FolderIngestion {
 public:
  FolderIngestion(const Context& ctx, const store::Services& services, const IngestOptions& options,
                  Tally& tally)
      : ctx_(ctx),
        services_(services),
        options_(options),
        tally_(tally),
        reader_(ctx, services, tally, options.compute_nar),
        budgets_(options.budgets ? options.budgets : std::make_shared<IngestBudgets>()),
        folders_(budgets_->open_folders, kWalkFoldersMin),
        window_(kWindowItemsMax, budgets_->content_bytes, kFileInMemoryBytesMax) {
    if (options.compute_nar) nar_.emplace();
  }

  // Threads end here, whatever happened.
  ~FolderIngestion() { close(); }

  Result<Ingested> run(const std::string& path) {
    std::stop_callback close_on_stop(ctx_.stop, [this] { close(); });
    threads_.emplace_back([this, path] {
      walk_tree(path, folders_, [this](SourceItem item) {
        const bool needs_work =
            item.kind == SourceItem::Kind::kFile || item.kind == SourceItem::Kind::kSymlink;
        if (item.kind == SourceItem::Kind::kFailure) failed_ = true;
        return window_.add(std::move(item), needs_work);
      });
      window_.end();
    });
    for (size_t i = worker_count(); i > 0; --i) threads_.emplace_back([this] { work(); });

    while (SourceItem* item = window_.next()) CASTORE_TRY(take(*item));
    CASTORE_TRY(ctx_.check());
    CASTORE_CHECK(root_.has_value(), "a walk ended without a root or an error");
    CASTORE_TRY(reader_.finish());
    Ingested ingested{.root = *std::move(root_), .nar = {}};
    if (options_.compute_nar) ingested.nar = CASTORE_TRY(summarize(ingested.root));
    return ingested;
  }

 private:
  void close() {
    folders_.close();
    window_.close();
  }

  void work() {
    while (auto taken = window_.take()) {
      SourceItem& item = *taken->item;
      item.outcome = reader_.read(item);
      const auto* file = std::get_if<StoredFile>(&item.outcome);
      const bool failed = std::holds_alternative<Error>(item.outcome);
      if (failed) failed_ = true;
      window_.finish(*taken, file && file->contents ? file->contents->size() : 0, failed);
    }
  }

  // The next item, in order.
  Result<void> take(SourceItem& item) {
    if (auto* error = std::get_if<Error>(&item.outcome)) return std::unexpected(std::move(*error));
    if (item.kind == SourceItem::Kind::kLeaveFolder) return leave_folder(item);
    if (nar_ && !open_.empty()) CASTORE_TRY(nar_->writer.entry_name(item.name));
    if (item.kind == SourceItem::Kind::kEnterFolder) return enter_folder();
    if (auto* symlink = std::get_if<SymlinkNode>(&item.outcome)) {
      if (nar_) CASTORE_TRY(nar_->writer.symlink(symlink->target.text()));
      ++tally_.symlinks;
      return place(item, std::move(*symlink));
    }
    FileNode node;
    if (auto* file = std::get_if<StoredFile>(&item.outcome)) {
      node = file->node;
      CASTORE_TRY(put_in_nar(*file));
    } else {
      node = CASTORE_TRY(stream(item));
    }
    ++tally_.files;
    return place(item, node);
  }

  Result<void> enter_folder() {
    open_.emplace_back();
    if (nar_) CASTORE_TRY(nar_->writer.enter_directory());
    return {};
  }

  Result<void> leave_folder(const SourceItem& item) {
    auto directory = open_.back().build();
    open_.pop_back();
    if (!directory)
      return fail(ErrorKind::kExhausted, "{}: {}", item.path(), directory.error().message());
    const Digest digest = CASTORE_TRY_WHILE(services_.directories->put(ctx_, *directory),
                                            "storing the directory of {}", item.path());
    if (nar_) CASTORE_TRY(nar_->writer.leave_directory());
    ++tally_.directories;
    return place(item, DirectoryNode{digest, directory->size(options_.size_convention)});
  }

  // Puts a finished node where it belongs: into the innermost open folder, or at the root.
  Result<void> place(const SourceItem& item, Node node) {
    if (open_.empty())
      root_ = std::move(node);
    else
      CASTORE_TRY_WHILE(open_.back().add(item.name, node), "{}", item.path());
    return {};
  }

  Result<void> put_in_nar(const StoredFile& file) {
    if (!nar_) return {};
    if (!file.contents) {
      nar_.reset();
      reader_.drop_contents();
      return {};
    }
    CASTORE_TRY(nar_->writer.begin_file(file.node.size, file.node.executable));
    CASTORE_TRY(nar_->writer.contents(file.contents->view()));
    return nar_->writer.end_file();
  }

  // Not to be waited for when a later entry has failed already: that error is then the one.
  Result<FileNode> stream(const SourceItem& item) {
    bool given_up = false;
    const SourceReader::StreamObserver observer{
        .begin = [this](uint64_t size, bool executable) -> Result<void> {
          if (nar_) CASTORE_TRY(nar_->writer.begin_file(size, executable));
          return {};
        },
        .contents = [this, &given_up](ByteView bytes) -> Result<void> {
          given_up = failed_;
          if (given_up) return fail(ErrorKind::kCancelled, "another file could not be read");
          if (nar_) CASTORE_TRY(nar_->writer.contents(bytes));
          return {};
        }};
    auto node = reader_.stream(item, observer);
    if (given_up) return std::unexpected(later_failure());
    if (node && nar_) CASTORE_TRY(nar_->writer.end_file());
    return node;
  }

  Error later_failure() {
    while (SourceItem* item = window_.next())
      if (auto* error = std::get_if<Error>(&item->outcome)) return std::move(*error);
    return Error(ErrorKind::kCancelled, "interrupted");
  }

  Result<store::NarSummary> summarize(const Node& root) {
    if (!nar_) return recall_nar(ctx_, services_, root);
    CASTORE_TRY(nar_->writer.finish());
    const store::NarSummary nar{.size = nar_->sink.size(), .sha256 = nar_->sink.finish()};
    if (services_.import_cache) CASTORE_TRY(services_.import_cache->remember_nar(ctx_, root, nar));
    return nar;
  }

  const Context& ctx_;
  const store::Services& services_;
  const IngestOptions& options_;
  Tally& tally_;

  SourceReader reader_;
  std::optional<NarInProgress> nar_;    // absent when not asked for, and once it was given up
  std::vector<DirectoryBuilder> open_;  // folders that were entered and not left, outermost first
  std::optional<Node> root_;

  std::atomic<bool> failed_ = false;  // some item ahead carries an error
  const std::shared_ptr<IngestBudgets> budgets_;
  OpenFolders folders_;
  OrderedWindow<SourceItem> window_;
  std::vector<std::jthread> threads_;
};

// "a/b/" is "a/b": a trailing slash does not make us follow a symlink.
std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

Result<Ingested> ingest_path(const Context& ctx, const store::Services& services,
                             const std::string& path, const IngestOptions& options, Tally& tally) {
  if (path.empty()) return fail(ErrorKind::kInvalidArgument, "the path to import is empty");
  return FolderIngestion(ctx, services, options, tally).run(without_trailing_slashes(path));
}

}  // namespace castore::transfer
