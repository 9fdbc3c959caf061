// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "digest/sha256.h"

namespace castore::nix {

// Takes the bytes of a NAR in order.
class NarSink {
 public:
  virtual ~NarSink() = default;
  virtual Result<void> write(ByteView bytes) = 0;
};

// Hashes and counts what it takes. Never fails.
class NarHashSink final : public NarSink {
 public:
  Result<void> write(ByteView bytes) override;

  uint64_t size() const { return size_; }
  Sha256 finish() { return hasher_.finish(); }  // once, last

 private:
  Sha256Hasher hasher_;
  uint64_t size_ = 0;
};

// Writes one NAR from the events of a depth-first walk in bytewise name order:
//
//   node      = file | symlink | enter_directory { entry_name node } leave_directory
//   file      = begin_file(size) contents* end_file
//
// followed by `finish`. Small pieces are gathered before they reach the sink. The order of events
// and names is the caller's to keep (checked: a mistake here is a programming mistake); a file
// whose contents are not `size` bytes long is an error, kCorrupt. One thread at a time.
class NarWriter {
 public:
  explicit NarWriter(NarSink& sink);

  Result<void> enter_directory();
  Result<void> entry_name(std::string_view name);
  Result<void> leave_directory();

  Result<void> begin_file(uint64_t size, bool executable);
  Result<void> contents(ByteView bytes);
  Result<void> end_file();

  Result<void> symlink(std::string_view target);

  // After the root node: hands the rest to the sink.
  Result<void> finish();

 private:
  enum class Expected { kNode, kEntryOrLeave, kContents, kFinish };

  void put(std::initializer_list<std::string_view> strings);
  void put_padding(uint64_t length);
  Result<void> after_node();
  Result<void> flush_if_large();
  Result<void> flush();

  NarSink& sink_;
  std::string pending_;
  Expected expected_ = Expected::kNode;
  std::vector<std::string> last_names_;  // of the directories that are open, outermost first
  uint64_t file_size_ = 0;
  uint64_t file_bytes_left_ = 0;
};

}  // namespace castore::nix
