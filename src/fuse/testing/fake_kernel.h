// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "fuse/abi.h"
#include "fuse/dispatcher.h"

namespace castore::fuse::testing {

// What came back for one request.
struct Reply {
  bool sent = false;  // FORGET and the like get none
  int error = 0;      // a positive errno
  std::vector<std::byte> body;
};

// A value, or the errno that the kernel would have been told.
template <typename T>
using Answered = std::expected<T, int>;

// One line of READDIR, or of READDIRPLUS, which has an entry too.
struct Line {
  std::string name;
  uint64_t inode = 0;
  uint64_t next_offset = 0;
  uint32_t type = 0;
  std::optional<abi::EntryOut> entry;
};

// Brings a request to whoever answers, and the answer back: nothing where there was none. It may
// have `room` bytes.
using Exchange =
    std::function<std::optional<std::vector<std::byte>>(ByteView request, size_t room)>;

// Speaks FUSE to a dispatcher over memory, or to anything else through an Exchange, as the kernel
// would or as it never would. Every reply is
// checked: one at most, of the right number and length, with room for it, and no body beside an
// error; one that is wrong ends the program. One thread at a time; several may share a dispatcher.
class FakeKernel {
 public:
  // `first_unique` keeps the request numbers of several kernels apart.
  explicit FakeKernel(Dispatcher& dispatcher, uint64_t first_unique = 2);
  explicit FakeKernel(Exchange exchange, uint64_t first_unique = 2);
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  // Sends bytes as they are. Replies may have `room` bytes, header included.
  Reply raw(ByteView request, size_t room = std::numeric_limits<size_t>::max());
  // Sends an argument under a right header.
  Reply call(abi::Opcode opcode, uint64_t node, ByteView argument,
             size_t room = std::numeric_limits<size_t>::max());
  template <typename T>
  Reply call(abi::Opcode opcode, uint64_t node, const T& argument) {
    return call(opcode, node, bytes_of_struct(argument));
  }
  // The bytes `call` would send.
  std::vector<std::byte> frame(abi::Opcode opcode, uint64_t node, ByteView argument);

  // The number that the next request will have.
  uint64_t next_unique() const { return next_unique_; }
  // The next reply is made, and not received. Only with a dispatcher.
  void lose_next_reply() { lose_next_reply_ = true; }

  // Offers everything that the protocol knows.
  Answered<abi::InitOut> init(uint32_t major = abi::kMajor, uint32_t minor = abi::kMinor);
  Answered<abi::EntryOut> lookup(uint64_t parent, std::string_view name);
  Answered<abi::AttrOut> getattr(uint64_t node);
  Answered<std::string> readlink(uint64_t node);
  Answered<abi::OpenOut> open(uint64_t node, uint32_t flags = 0);
  Answered<std::string> read(uint64_t node, uint64_t handle, uint64_t offset, uint32_t size);
  int release(uint64_t node, uint64_t handle);
  Answered<abi::OpenOut> opendir(uint64_t node);
  Answered<std::vector<Line>> readdir(uint64_t node, uint64_t handle, uint64_t offset,
                                      uint32_t size);
  Answered<std::vector<Line>> readdirplus(uint64_t node, uint64_t handle, uint64_t offset,
                                          uint32_t size);
  int releasedir(uint64_t node, uint64_t handle);
  Answered<uint64_t> lseek(uint64_t node, uint64_t handle, uint64_t offset, int whence);
  Answered<std::string> getxattr(uint64_t node, std::string_view name, uint32_t size);
  Answered<std::string> listxattr(uint64_t node, uint32_t size);
  // The length these would have, as asked for with size 0.
  Answered<uint32_t> getxattr_length(uint64_t node, std::string_view name);
  Answered<uint32_t> listxattr_length(uint64_t node);
  Answered<abi::StatfsOut> statfs();
  void forget(uint64_t node, uint64_t count);
  void batch_forget(const std::vector<abi::ForgetOne>& items);
  void interrupt(uint64_t unique);

  template <typename T>
  static ByteView bytes_of_struct(const T& value) {
    return {reinterpret_cast<const std::byte*>(&value), sizeof value};
  }

 private:
  Answered<std::vector<Line>> list(abi::Opcode opcode, uint64_t node, const abi::ReadIn& in);

  Exchange exchange_;
  uint64_t next_unique_;
  bool lose_next_reply_ = false;
  std::unique_ptr<std::byte[]> scratch_;  // of the dispatcher
};

}  // namespace castore::fuse::testing
