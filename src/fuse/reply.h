// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "fs/filesystem.h"
#include "fuse/abi.h"
#include "fuse/errno_of.h"

namespace castore::fuse {

// Takes the answer to one request back to who asked: one writev(2) for /dev/fuse, a copy into the
// guest's buffers for virtiofs.
class ReplySink {
 public:
  virtual ~ReplySink() = default;

  // The most bytes an answer may have, its header included.
  virtual size_t bytes_max() const = 0;

  // Delivers the pieces, one after the other, as one message of at most `bytes_max`. They are valid
  // only during the call. Called at most once. False when nobody received it: the asker was killed,
  // or the mount is gone; then nothing that the answer handed out is in anybody's hands.
  virtual bool send(std::span<const ByteView> pieces) = 0;

  // As `send` of `header` and of the bytes of `body`, which are not looked at on their way.
  // Nothing: this way is closed or not worth it, or the file is shorter; then nothing was sent, and
  // `send` is to be used.
  virtual std::optional<bool> send_file(ByteView /*header*/, const fs::FileRange& /*body*/) {
    return std::nullopt;
  }

  // The same way to the asker, for an answer that is given later by any thread; this sink is not
  // used any more then. Null where answers are given at once or not at all.
  virtual std::unique_ptr<ReplySink> keep() { return nullptr; }
};

// Writes the answer to one request. Each method says whether it was delivered; an answer that the
// asker has no room for becomes an error.
class Answer {
 public:
  Answer(ReplySink& sink, uint64_t unique) : sink_(sink), unique_(unique) {}

  bool error(fs::Fault fault) { return send_error(errno_of(fault)); }
  bool error(Refusal refusal) { return send_error(errno_of(refusal)); }

  bool empty() { return bytes({}); }
  bool bytes(ByteView body);
  template <typename T>
  bool structure(const T& body) {
    return bytes({reinterpret_cast<const std::byte*>(&body), sizeof body});
  }

  // The bytes of `body`. False: not answered, as ReplySink::send_file.
  bool file(const fs::FileRange& body);

  // How many bytes may follow the header.
  size_t body_bytes_max() const;

  // What was answered so far: whether an error, and how long the body was.
  bool failed() const { return failed_; }
  size_t body_bytes() const { return body_bytes_; }

 private:
  bool send_error(int errno_value);

  ReplySink& sink_;
  uint64_t unique_;
  bool failed_ = false;
  size_t body_bytes_ = 0;
};

// The filesystem's answers as the kernel reads them. What they say holds for ever: a node stands
// for content that never changes, so the kernel need not ask twice.
abi::Attr to_wire(const fs::Attributes& attributes);
uint32_t mode_bits(fs::FileType type);  // the file type part of a mode
abi::AttrOut to_attr_out(const fs::Attributes& attributes);
abi::EntryOut to_entry_out(const fs::Entry& entry);
// There is no such name, and never will be.
abi::EntryOut absent_for_ever();

}  // namespace castore::fuse
