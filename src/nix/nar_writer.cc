// SPDX-License-Identifier: MIT OR Apache-2.0
#include "nix/nar_writer.h"

#include "base/check.h"
#include "model/name.h"
#include "model/node.h"

namespace castore::nix {
namespace {

constexpr size_t kAlignment = 8;
constexpr size_t kBufferBytes = size_t{64} << 10;
// Contents of that size go to the sink as they are; the copy would cost more than the call.
constexpr size_t kDirectBytesMin = size_t{16} << 10;

void append_le64(std::string& out, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8)
    out.push_back(static_cast<char>(value >> shift & 0xff));
}

}  // namespace

Result<void> NarHashSink::write(ByteView bytes) {
  hasher_.update(bytes);
  size_ += bytes.size();
  return {};
}

NarWriter::NarWriter(NarSink& sink) : sink_(sink) {
  pending_.reserve(kBufferBytes + kDirectBytesMin);
  put({"nix-archive-1"});
}

Result<void> NarWriter::enter_directory() {
  CASTORE_CHECK(expected_ == Expected::kNode, "a directory where no node belongs");
  put({"(", "type", "directory"});
  last_names_.emplace_back();
  expected_ = Expected::kEntryOrLeave;
  return flush_if_large();
}

Result<void> NarWriter::entry_name(std::string_view name) {
  CASTORE_CHECK(expected_ == Expected::kEntryOrLeave, "an entry where none belongs");
  CASTORE_CHECK(!check_name(name), "the name of an entry is not valid");
  CASTORE_CHECK(last_names_.back() < name, "entries are not in the order of their names");
  last_names_.back() = name;
  put({"entry", "(", "name", name, "node"});
  expected_ = Expected::kNode;
  return {};
}

Result<void> NarWriter::leave_directory() {
  CASTORE_CHECK(expected_ == Expected::kEntryOrLeave, "the end of a directory that is not open");
  last_names_.pop_back();
  return after_node();
}

Result<void> NarWriter::begin_file(uint64_t size, bool executable) {
  CASTORE_CHECK(expected_ == Expected::kNode, "a file where no node belongs");
  put({"(", "type", "regular"});
  if (executable) put({"executable", ""});
  put({"contents"});
  append_le64(pending_, size);
  file_size_ = size;
  file_bytes_left_ = size;
  expected_ = Expected::kContents;
  return {};
}

Result<void> NarWriter::contents(ByteView bytes) {
  CASTORE_CHECK(expected_ == Expected::kContents, "contents outside of a file");
  if (bytes.size() > file_bytes_left_)
    return fail(ErrorKind::kCorrupt, "the contents are longer than the {} bytes announced",
                file_size_);
  file_bytes_left_ -= bytes.size();
  if (bytes.size() >= kDirectBytesMin) {
    CASTORE_TRY(flush());
    return sink_.write(bytes);
  }
  pending_.append(text_of(bytes));
  return flush_if_large();
}

Result<void> NarWriter::end_file() {
  CASTORE_CHECK(expected_ == Expected::kContents, "the end of a file that is not open");
  if (file_bytes_left_ != 0)
    return fail(ErrorKind::kCorrupt, "the contents end after {} of the {} bytes announced",
                file_size_ - file_bytes_left_, file_size_);
  put_padding(file_size_);
  return after_node();
}

Result<void> NarWriter::symlink(std::string_view target) {
  CASTORE_CHECK(expected_ == Expected::kNode, "a symlink where no node belongs");
  CASTORE_CHECK(!check_symlink_target(target), "the target of a symlink is not valid");
  put({"(", "type", "symlink", "target", target});
  return after_node();
}

Result<void> NarWriter::finish() {
  CASTORE_CHECK(expected_ == Expected::kFinish, "a NAR is finished before its root node is");
  return flush();
}

void NarWriter::put(std::initializer_list<std::string_view> strings) {
  for (std::string_view string : strings) {
    append_le64(pending_, string.size());
    pending_.append(string);
    put_padding(string.size());
  }
}

void NarWriter::put_padding(uint64_t length) {
  pending_.append((kAlignment - length % kAlignment) % kAlignment, '\0');
}

Result<void> NarWriter::after_node() {
  put({")"});
  if (last_names_.empty()) {
    expected_ = Expected::kFinish;
  } else {
    put({")"});  // of the entry that the node is in
    expected_ = Expected::kEntryOrLeave;
  }
  return flush_if_large();
}

Result<void> NarWriter::flush_if_large() {
  if (pending_.size() < kBufferBytes) return {};
  return flush();
}

Result<void> NarWriter::flush() {
  if (pending_.empty()) return {};
  CASTORE_TRY(sink_.write(bytes_of(pending_)));
  pending_.clear();
  return {};
}

}  // namespace castore::nix
