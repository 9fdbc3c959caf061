// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/tree_check.h"

#include <algorithm>
#include <utility>

#include "digest/blake3.h"
#include "model/name.h"

namespace castore::transfer {
namespace {

// What one task takes on: enough to be worth its handing over.
constexpr size_t kTaskBlobsMax = 64;
constexpr uint64_t kTaskBytesMax = uint64_t{8} << 20;
constexpr uint64_t kStepBytes = uint64_t{1} << 20;

std::string blob_object(const Digest& digest) {
  return fmt::format("blob {}", digest);
}
std::string directory_object(const Digest& digest) {
  return fmt::format("directory {}", digest);
}

}  // namespace

Result<void> TreeCheck::check_all_blobs() {
  CASTORE_TRY_WHILE(services_.blobs->list(ctx_,
                                          [&](const Digest& digest, uint64_t size) -> Result<void> {
                                            listed_.push_back({digest, size});
                                            return {};
                                          }),
                    "listing the blobs");
  std::ranges::sort(listed_, {}, &ListedBlob::digest);
  for (size_t begin = 0; begin < listed_.size() && !tasks_.has_failed();) {
    size_t end = begin;
    for (uint64_t bytes = 0;
         end < listed_.size() && end - begin < kTaskBlobsMax && bytes < kTaskBytesMax; ++end)
      bytes += std::min(listed_[end].size, kTaskBytesMax);
    tasks_.submit([this, begin, end]() -> Result<void> {
      for (size_t i = begin; i < end; ++i) CASTORE_TRY(check_listed(listed_[i]));
      return {};
    });
    begin = end;
  }
  return {};
}

Result<void> TreeCheck::check_listed(const ListedBlob& blob) {
  bool is_damaged = false;
  auto reader = CASTORE_TRY(open(blob.digest, is_damaged));
  if (is_damaged) return {};
  if (!reader) {
    findings_.report(FindingKind::kMissing, blob_object(blob.digest),
                     "the store lists it, and does not have it", store::BlobName{blob.digest});
    return {};
  }
  if (reader->size() != blob.size) {
    findings_.report(
        FindingKind::kCorrupt, blob_object(blob.digest),
        fmt::format("the store lists it with {} bytes, and it has {}", blob.size, reader->size()),
        store::BlobName{blob.digest});
    return {};
  }
  return hash(blob.digest, *reader);
}

Result<void> TreeCheck::check_referred(const BlobReference& reference) {
  bool is_damaged = false;
  auto reader = CASTORE_TRY(open(reference.digest, is_damaged));
  if (is_damaged) return {};
  if (!reader) {
    findings_.report(FindingKind::kMissing, blob_object(reference.digest),
                     fmt::format("it is the content of {}", reference.place));
    return {};
  }
  if (reader->size() != reference.size)
    findings_.report(
        FindingKind::kCorrupt, reference.object,
        fmt::format("it records {} bytes for {}, which is blob {} of {} bytes", reference.size,
                    reference.place, reference.digest, reader->size()));
  if (!reference.is_first) return {};
  return hash(reference.digest, *reader);
}

Result<std::unique_ptr<store::BlobReader>> TreeCheck::open(const Digest& digest, bool& is_damaged) {
  CASTORE_TRY(ctx_.check());
  auto reader = services_.blobs->open(ctx_, digest);
  if (reader) return reader;
  CASTORE_TRY(findings_.report_error(blob_object(digest), std::move(reader).error(),
                                     store::BlobName{digest}));
  is_damaged = true;
  return nullptr;
}

// Compares the bytes with the digest, where opening the blob did not.
Result<void> TreeCheck::hash(const Digest& digest, store::BlobReader& reader) {
  ++tally_.files;
  if (reader.verified()) {
    tally_.bytes += reader.size();
    return {};
  }
  Blake3Hasher hasher;
  std::vector<std::byte> buffer(static_cast<size_t>(std::min(reader.size(), kStepBytes)));
  uint64_t offset = 0;
  while (offset < reader.size() && !tasks_.has_failed()) {
    CASTORE_TRY(ctx_.check());
    auto n = reader.read_at(ctx_, offset, buffer);
    if (!n)
      return findings_.report_error(blob_object(digest), std::move(n).error(),
                                    store::BlobName{digest});
    if (*n == 0) {
      findings_.report(FindingKind::kCorrupt, blob_object(digest),
                       fmt::format("it ends after {} of {} bytes", offset, reader.size()),
                       store::BlobName{digest});
      return {};
    }
    hasher.update(ByteView(buffer).first(*n));
    offset += *n;
    tally_.bytes += *n;
  }
  if (offset < reader.size()) return {};
  if (Digest actual = hasher.finish(); actual != digest)
    findings_.report(FindingKind::kCorrupt, blob_object(digest),
                     fmt::format("its bytes hash to {}", actual), store::BlobName{digest});
  return {};
}

Result<void> TreeCheck::check_tree(const Node& root, const std::string& place,
                                   const std::string& object) {
  path_ = place;
  if (auto* file = std::get_if<FileNode>(&root)) {
    add_blob(file->digest, file->size, object, "");
  } else if (auto* directory = std::get_if<DirectoryNode>(&root)) {
    CASTORE_TRY(enter(directory->digest, directory->size, object));
    CASTORE_TRY(walk());
  }
  submit_references();
  return {};
}

Result<void> TreeCheck::check_all_directories() {
  // Not walked while they are listed: a listing may hold the store's state in memory.
  std::vector<Digest> unseen;
  CASTORE_TRY_WHILE(services_.directories->list(ctx_,
                                                [&](const Digest& digest) -> Result<void> {
                                                  if (!directories_seen_.contains(digest))
                                                    unseen.push_back(digest);
                                                  return {};
                                                }),
                    "listing the directories");
  for (const Digest& digest : unseen) {
    if (directories_seen_.contains(digest)) continue;
    path_ = directory_object(digest);
    CASTORE_TRY(enter(digest, std::nullopt, ""));
    CASTORE_TRY(walk());
  }
  submit_references();
  return {};
}

Result<void> TreeCheck::walk() {
  while (!levels_.empty() && !tasks_.has_failed()) {
    Level& level = levels_.back();
    path_.resize(level.path_bytes);
    if (level.next == level.directory->entry_count()) {
      levels_.pop_back();
      continue;
    }
    const DirectoryEntry entry = level.directory->entry(level.next++);
    switch (entry.kind) {
      case NodeKind::kDirectory: {
        const std::string object = level.object;
        path_ = place_of(entry.name);
        CASTORE_TRY(enter(entry.digest, entry.size, object));
        break;
      }
      case NodeKind::kFile:
        add_blob(entry.digest, entry.size, level.object, entry.name);
        break;
      case NodeKind::kSymlink:
        break;
    }
  }
  return {};
}

// Looks at the directory whose place is path_, and makes it the current level unless it was seen.
Result<void> TreeCheck::enter(const Digest& digest, std::optional<uint64_t> recorded_size,
                              const std::string& object) {
  auto [seen, is_first] = directories_seen_.try_emplace(digest, recorded_size);
  if (!is_first && seen->second == recorded_size) return {};
  CASTORE_TRY(ctx_.check());
  auto found = services_.directories->get(ctx_, digest);
  if (!found)
    return findings_.report_error(directory_object(digest), std::move(found).error(),
                                  store::DirectoryName{digest});
  const std::shared_ptr<const Directory>& directory = *found;
  if (!directory) {
    findings_.report(FindingKind::kMissing, directory_object(digest),
                     recorded_size ? fmt::format("it is the content of {}", path_)
                                   : "the store lists it, and does not have it",
                     store::DirectoryName{digest});
    return {};
  }
  if (recorded_size && !directory->accepts_recorded_size(*recorded_size))
    findings_.report(
        FindingKind::kCorrupt, object,
        fmt::format("it records size {} for {}, which is directory {} of size {}", *recorded_size,
                    path_, digest, directory->size(SizeConvention::kDocumented)));
  if (!is_first) return {};
  ++tally_.directories;
  levels_.push_back({directory, directory_object(digest), path_.size()});
  return {};
}

// Has the blob checked, and its recorded size, unless both were seen together before.
void TreeCheck::add_blob(const Digest& digest, uint64_t size, const std::string& object,
                         std::string_view name) {
  if (is_listed(digest, size)) return;
  auto [seen, is_first] = blobs_seen_.try_emplace(digest, size);
  if (!is_first && seen->second == size) return;
  references_.push_back({digest, size, is_first, object, place_of(name)});
  if (references_.size() >= kTaskBlobsMax || size >= kTaskBytesMax) submit_references();
}

void TreeCheck::submit_references() {
  if (references_.empty()) return;
  tasks_.submit([this, references = std::exchange(references_, {})]() -> Result<void> {
    for (const BlobReference& reference : references) CASTORE_TRY(check_referred(reference));
    return {};
  });
}

bool TreeCheck::is_listed(const Digest& digest, uint64_t size) const {
  auto found = std::ranges::lower_bound(listed_, digest, {}, &ListedBlob::digest);
  return found != listed_.end() && found->digest == digest && found->size == size;
}

std::string TreeCheck::place_of(std::string_view name) const {
  return name.empty() ? path_ : path_ + '/' + printable(name);
}

}  // namespace castore::transfer
