// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/directory.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "digest/blake3.h"
#include "model/entry_wire.h"

namespace castore {
namespace {

using Code = DirectoryError::Code;

std::unexpected<DirectoryError> refuse(Code code, std::string message) {
  return std::unexpected(DirectoryError(code, std::move(message)));
}

std::unexpected<DirectoryError> refuse_name(NameFault fault) {
  return refuse(Code::kInvalidName, fmt::format("Invalid name: {}", describe(fault)));
}

std::unexpected<DirectoryError> refuse_duplicate(std::string_view name) {
  return refuse(Code::kDuplicateName, fmt::format("{} is a duplicate name", printable(name)));
}

// Sorting or counting may differ by convention; twice an entry covers all of them.
constexpr uint64_t kSizePerEntryMax = 2;

// Adds one entry to a running sum; false on overflow.
bool add_size(uint64_t& sum, uint64_t child_size) {
  return !__builtin_add_overflow(sum, kSizePerEntryMax, &sum) &&
         !__builtin_add_overflow(sum, child_size, &sum);
}

std::optional<DirectoryError> check_limits(size_t bytes, size_t entries) {
  if (bytes > kDirectoryBytesMax)
    return DirectoryError(
        Code::kTooLarge, fmt::format("the directory takes {} bytes encoded; the limit is {}", bytes,
                                     kDirectoryBytesMax));
  if (entries > kDirectoryEntriesMax)
    return DirectoryError(Code::kTooLarge,
                          fmt::format("the directory has {} entries; the limit is {}", entries,
                                      kDirectoryEntriesMax));
  return std::nullopt;
}

struct PlacedEntry {
  uint32_t offset = 0;
  RawEntry raw;
};

}  // namespace

DirectoryError::operator Error() const {
  return Error(ErrorKind::kCorrupt, "invalid directory: " + message_);
}

Node DirectoryEntry::to_node() const {
  switch (kind) {
    case NodeKind::kDirectory:
      return DirectoryNode{digest, size};
    case NodeKind::kFile:
      return FileNode{digest, size, executable};
    case NodeKind::kSymlink:
      break;
  }
  auto parsed = SymlinkTarget::parse(std::string(target));
  CASTORE_CHECK(parsed.has_value(), "a directory holds an invalid symlink target");
  return SymlinkNode{std::move(*parsed)};
}

Directory::Directory(Bytes encoded, Index index, uint64_t child_sizes)
    : encoded_(std::move(encoded)),
      index_(index.empty() ? nullptr : std::make_shared<const Index>(std::move(index))),
      child_sizes_(child_sizes) {}

std::expected<Directory, DirectoryError> Directory::decode(Bytes encoded) {
  if (auto error = check_limits(encoded.size(), 0)) return std::unexpected(*error);

  std::vector<PlacedEntry> lists[3];
  size_t entry_count = 0;
  bool canonical = true;
  wire::Reader reader(encoded.view());
  uint32_t previous_field = 0;
  while (!reader.done()) {
    auto field = reader.next();
    if (!field) return refuse(Code::kNotCanonical, "the bytes are not a Directory message");
    if (field->number < previous_field || field->number > 3 ||
        field->type != wire::kLengthDelimited) {
      canonical = false;
      if (field->number > 3) continue;
      if (field->type != wire::kLengthDelimited)
        return refuse(Code::kNotCanonical, "the bytes are not a Directory message");
    }
    previous_field = field->number;
    if (auto error = check_limits(encoded.size(), ++entry_count)) return std::unexpected(*error);
    auto kind = static_cast<NodeKind>(field->number - 1);
    auto raw = parse_raw_entry(kind, field->bytes);
    if (!raw) return refuse(Code::kNotCanonical, "the bytes are not a Directory message");
    canonical = canonical && raw->canonical;
    lists[field->number - 1].push_back({static_cast<uint32_t>(field->offset), *raw});
  }
  canonical = canonical && reader.canonical();

  for (const auto& list : lists) {
    std::string_view previous;
    for (const PlacedEntry& entry : list) {
      if (entry.raw.name < previous)
        return refuse(Code::kWrongSorting,
                      fmt::format("{} is not sorted", printable(entry.raw.name)));
      if (entry.raw.name == previous) {
        if (auto fault = check_name(entry.raw.name)) return refuse_name(*fault);
        return refuse_duplicate(entry.raw.name);
      }
      previous = entry.raw.name;
    }
  }
  for (const auto& list : lists)
    for (const PlacedEntry& entry : list) {
      if (auto error = check_raw_node(entry.raw)) return std::unexpected(*error);
      if (auto fault = check_name(entry.raw.name)) return refuse_name(*fault);
    }

  // Entry after entry, list after list, whichever is first: the sum overflows, or the name is in an
  // earlier list.
  uint64_t size_sum = 0;
  uint64_t child_sizes = 0;
  std::vector<PlacedEntry> merged;
  merged.reserve(entry_count);
  auto name_of_placed = [](const PlacedEntry& entry) { return entry.raw.name; };
  for (const auto& list : lists) {
    if (list.empty()) continue;
    bool overflow = false;
    auto middle = static_cast<std::ptrdiff_t>(merged.size());
    for (const PlacedEntry& entry : list) {
      uint64_t child_size = entry.raw.kind == NodeKind::kDirectory ? entry.raw.size : 0;
      overflow = !add_size(size_sum, child_size);
      if (overflow) break;
      child_sizes += child_size;
      merged.push_back(entry);
    }
    std::ranges::inplace_merge(merged, merged.begin() + middle, {}, name_of_placed);
    auto twin = std::ranges::adjacent_find(merged, {}, name_of_placed);
    if (twin != merged.end()) return refuse_duplicate(twin->raw.name);
    if (overflow) return refuse(Code::kSizeOverflow, "Total size exceeds u64::MAX");
  }
  if (!canonical)
    return refuse(Code::kNotCanonical, "the bytes are not the canonical encoding of the directory");

  Index index(merged.size());
  std::ranges::transform(merged, index.begin(), &PlacedEntry::offset);
  return Directory(std::move(encoded), std::move(index), child_sizes);
}

DirectoryEntry Directory::entry(size_t i) const {
  ByteView rest = encoded_.view().subspan((*index_)[i]);
  // The bytes were checked when the directory was made.
  wire::Reader reader(rest);
  auto field = reader.next();
  RawEntry raw = *parse_raw_entry(static_cast<NodeKind>(field->number - 1), field->bytes);
  DirectoryEntry entry;
  entry.name = raw.name;
  entry.kind = raw.kind;
  entry.executable = raw.executable;
  entry.size = raw.size;
  if (raw.kind == NodeKind::kSymlink)
    entry.target = text_of(raw.digest_or_target);
  else
    entry.digest = *Digest::from_bytes(raw.digest_or_target);
  return entry;
}

size_t Directory::upper_bound(std::string_view name) const {
  size_t low = 0;
  size_t high = entry_count();
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (entry(middle).name <= name)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

std::optional<DirectoryEntry> Directory::lookup(std::string_view name) const {
  size_t after = upper_bound(name);
  if (after == 0) return std::nullopt;
  DirectoryEntry candidate = entry(after - 1);
  if (candidate.name != name) return std::nullopt;
  return candidate;
}

Digest Directory::digest() const {
  return blake3(encoded_.view());
}

uint64_t Directory::size(SizeConvention convention) const {
  auto size = directory_size(convention, entry_count(), child_sizes_);
  CASTORE_CHECK(size.has_value(), "a directory's size was checked when it was made");
  return *size;
}

bool Directory::accepts_recorded_size(uint64_t size) const {
  uint64_t largest = child_sizes_ + kSizePerEntryMax * entry_count();
  // Doubling counts the child sizes as recorded, so it is `largest` as well.
  return size >= entry_count() + child_sizes_ && size <= largest;
}

std::optional<uint64_t> directory_size(SizeConvention convention, uint64_t entry_count,
                                       uint64_t child_sizes) {
  uint64_t per_entry = convention == SizeConvention::kDocumented ? 1 : 2;
  uint64_t size = 0;
  if (__builtin_mul_overflow(entry_count, per_entry, &size) ||
      __builtin_add_overflow(size, child_sizes, &size))
    return std::nullopt;
  return size;
}

Result<void> DirectoryBuilder::add(std::string_view name, const Node& node) {
  CASTORE_TRY(require_valid_name(name));
  size_t before = bytes_.size();
  append_entry_field(bytes_, name, node);
  if (bytes_.size() > kDirectoryBytesMax || entries_.size() >= kDirectoryEntriesMax)
    return fail(ErrorKind::kExhausted,
                "the directory is too large: more than {} entries or {} bytes encoded",
                kDirectoryEntriesMax, kDirectoryBytesMax);
  if (auto* directory = std::get_if<DirectoryNode>(&node))
    child_sizes_overflow_ |= __builtin_add_overflow(child_sizes_, directory->size, &child_sizes_);
  // The message begins with tag, length of the message, tag and length of the name. The first and
  // third take one byte, the last one or two.
  size_t length = bytes_.size() - before;
  ByteView rest = bytes_of(bytes_).subspan(before + 1);
  (void)take_minimal_varint(rest);
  rest = rest.subspan(1);
  (void)take_minimal_varint(rest);
  entries_.push_back({static_cast<uint32_t>(before), static_cast<uint32_t>(length),
                      static_cast<uint16_t>(length - rest.size()),
                      static_cast<uint16_t>(name.size()), kind_of(node)});
  return {};
}

std::string_view DirectoryBuilder::name_of(const Pending& entry) const {
  return std::string_view(bytes_).substr(entry.offset + entry.name_offset, entry.name_length);
}

std::expected<Directory, DirectoryError> DirectoryBuilder::build() {
  DirectoryBuilder taken = std::exchange(*this, DirectoryBuilder());
  auto& entries = taken.entries_;
  auto by_name = [&](const Pending& entry) { return taken.name_of(entry); };
  std::ranges::sort(entries, {}, by_name);
  auto twin = std::ranges::adjacent_find(entries, {}, by_name);
  if (twin != entries.end()) return refuse_duplicate(by_name(*twin));
  uint64_t size = taken.child_sizes_;
  if (taken.child_sizes_overflow_ ||
      __builtin_add_overflow(size, kSizePerEntryMax * entries.size(), &size))
    return refuse(Code::kSizeOverflow, "Total size exceeds u64::MAX");

  std::string encoded;
  encoded.reserve(taken.bytes_.size());
  Directory::Index index(entries.size());
  for (NodeKind kind : {NodeKind::kDirectory, NodeKind::kFile, NodeKind::kSymlink})
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].kind != kind) continue;
      index[i] = static_cast<uint32_t>(encoded.size());
      encoded.append(taken.bytes_, entries[i].offset, entries[i].length);
    }
  return Directory(Bytes::take(std::move(encoded)), std::move(index), taken.child_sizes_);
}

}  // namespace castore
