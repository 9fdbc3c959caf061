// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/request.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <type_traits>
#include <utility>

namespace castore::fuse {
namespace {

// Takes the argument apart from front to back. What is missing reads as zero, and `complete` says
// so at the end.
class ArgumentReader {
 public:
  explicit ArgumentReader(ByteView argument) : rest_(argument) {}

  template <typename T>
  T take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (rest_.size() < sizeof(T)) {
      refused_ = true;
      rest_ = {};
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }

  // All bytes up to the end, which must be the only NUL.
  std::string_view take_name() {
    std::string_view text = text_of(rest_);
    rest_ = {};
    if (text.empty() || text.find('\0') != text.size() - 1) {
      refused_ = true;
      return {};
    }
    text.remove_suffix(1);
    return text;
  }

  void refuse() { refused_ = true; }

  ByteView take_rest() { return std::exchange(rest_, {}); }
  size_t rest_bytes() const { return rest_.size(); }

  bool complete() const { return !refused_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool refused_ = false;
};

InitRequest decode_init(ArgumentReader& argument) {
  auto in = argument.take<abi::InitIn>();
  InitRequest init{
      .major = in.major, .minor = in.minor, .max_readahead = in.max_readahead, .flags = in.flags};
  if ((in.flags & abi::kInitExt) != 0) {
    auto extension = argument.take<abi::InitInExtension>();
    init.flags |= uint64_t{extension.flags2} << 32;
  }
  argument.take_rest();
  return init;
}

BatchForgetRequest decode_batch_forget(ArgumentReader& argument) {
  auto in = argument.take<abi::BatchForgetIn>();
  if (argument.rest_bytes() != uint64_t{in.count} * sizeof(abi::ForgetOne)) argument.refuse();
  return {.items = argument.take_rest()};
}

OpenRequest decode_open(ArgumentReader& argument) {
  auto in = argument.take<abi::OpenIn>();
  return {.for_writing = (in.flags & O_ACCMODE) != O_RDONLY || (in.flags & O_TRUNC) != 0};
}

ReadRequest decode_read(ArgumentReader& argument) {
  auto in = argument.take<abi::ReadIn>();
  return {.handle = in.fh, .offset = in.offset, .size = in.size};
}

ReaddirRequest decode_readdir(ArgumentReader& argument, bool plus) {
  auto in = argument.take<abi::ReadIn>();
  return {.handle = in.fh, .offset = in.offset, .size = in.size, .plus = plus};
}

GetxattrRequest decode_getxattr(ArgumentReader& argument) {
  auto in = argument.take<abi::GetxattrIn>();
  return {.name = argument.take_name(), .size = in.size};
}

Operation decode_lseek(ArgumentReader& argument) {
  auto in = argument.take<abi::LseekIn>();
  switch (in.whence) {
    case SEEK_DATA:
      return LseekRequest{.handle = in.fh, .offset = in.offset, .what = fs::SeekFor::kData};
    case SEEK_HOLE:
      return LseekRequest{.handle = in.fh, .offset = in.offset, .what = fs::SeekFor::kHole};
    default:  // the kernel answers the others itself
      return RefusedRequest{Refusal::kMalformed};
  }
}

// What an ioctl brings along is not looked at.
IoctlRequest decode_ioctl(ArgumentReader& argument) {
  auto in = argument.take<abi::IoctlIn>();
  argument.take_rest();
  return {.command = in.cmd, .room = in.out_size};
}

Operation refused(ArgumentReader& argument, Refusal refusal) {
  argument.take_rest();
  return RefusedRequest{refusal};
}

Operation decode_operation(uint32_t opcode, ArgumentReader& argument) {
  using abi::Opcode;
  // No default, so that the compiler asks about each opcode added to the list; the numbers that
  // are not in it come out at the end.
  switch (static_cast<Opcode>(opcode)) {
    case Opcode::kInit:
      return decode_init(argument);
    case Opcode::kLookup:
      return LookupRequest{.name = argument.take_name()};
    case Opcode::kForget:
      return ForgetRequest{.count = argument.take<abi::ForgetIn>().nlookup};
    case Opcode::kBatchForget:
      return decode_batch_forget(argument);
    case Opcode::kGetattr:
      argument.take<abi::GetattrIn>();
      return GetattrRequest{};
    case Opcode::kReadlink:
      return ReadlinkRequest{};
    case Opcode::kOpen:
      return decode_open(argument);
    case Opcode::kRead:
      return decode_read(argument);
    case Opcode::kRelease:
      return ReleaseRequest{.handle = argument.take<abi::ReleaseIn>().fh};
    case Opcode::kOpendir:
      argument.take<abi::OpenIn>();
      return OpendirRequest{};
    case Opcode::kReaddir:
      return decode_readdir(argument, false);
    case Opcode::kReaddirplus:
      return decode_readdir(argument, true);
    case Opcode::kReleasedir:
      return ReleasedirRequest{.handle = argument.take<abi::ReleaseIn>().fh};
    case Opcode::kGetxattr:
      return decode_getxattr(argument);
    case Opcode::kListxattr:
      return ListxattrRequest{.size = argument.take<abi::GetxattrIn>().size};
    case Opcode::kLseek:
      return decode_lseek(argument);
    case Opcode::kIoctl:
      return decode_ioctl(argument);
    case Opcode::kStatfs:
      return StatfsRequest{};
    case Opcode::kInterrupt:
      return InterruptRequest{.unique = argument.take<abi::InterruptIn>().unique};
    case Opcode::kDestroy:
      return DestroyRequest{};

    case Opcode::kSetattr:
    case Opcode::kSymlink:
    case Opcode::kMknod:
    case Opcode::kMkdir:
    case Opcode::kUnlink:
    case Opcode::kRmdir:
    case Opcode::kRename:
    case Opcode::kRename2:
    case Opcode::kLink:
    case Opcode::kWrite:
    case Opcode::kSetxattr:
    case Opcode::kRemovexattr:
    case Opcode::kCreate:
    case Opcode::kFallocate:
    case Opcode::kTmpfile:
    case Opcode::kCopyFileRange:
    case Opcode::kCopyFileRange64:
      return refused(argument, Refusal::kReadOnly);

    case Opcode::kAccess:  // the mount option default_permissions answers it
    case Opcode::kFlush:   // nothing is ever written
    case Opcode::kFsync:
    case Opcode::kFsyncdir:
    case Opcode::kSyncfs:
    case Opcode::kGetlk:  // locks are the kernel's own
    case Opcode::kSetlk:
    case Opcode::kSetlkw:
    case Opcode::kBmap:
    case Opcode::kPoll:
    case Opcode::kSetupmapping:
    case Opcode::kRemovemapping:
    case Opcode::kStatx:  // GETATTR says all there is
      return refused(argument, Refusal::kNotImplemented);

    case Opcode::kNotifyReply:
      argument.take_rest();
      return IgnoredRequest{};
  }
  return refused(argument, Refusal::kNotImplemented);
}

// Requests that are never answered, not even with an error.
bool is_one_way(uint32_t opcode) {
  switch (static_cast<abi::Opcode>(opcode)) {
    case abi::Opcode::kForget:
    case abi::Opcode::kBatchForget:
    case abi::Opcode::kInterrupt:
    case abi::Opcode::kNotifyReply:
      return true;
    default:
      return false;
  }
}

}  // namespace

abi::ForgetOne BatchForgetRequest::item(size_t i) const {
  abi::ForgetOne one;
  std::memcpy(&one, items.data() + i * sizeof one, sizeof one);
  return one;
}

std::expected<Request, BadRequest> decode_request(ByteView bytes) {
  if (bytes.size() < sizeof(abi::InHeader)) return std::unexpected(BadRequest{});
  abi::InHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);

  BadRequest bad;
  if (!is_one_way(header.opcode)) bad.unique = header.unique;
  if (header.len != bytes.size()) return std::unexpected(bad);

  // Extensions stand behind the argument. None is ever asked for, and none is looked at.
  ByteView argument = bytes.subspan(sizeof header);
  size_t extension_bytes = size_t{header.total_extlen} * 8;
  if (extension_bytes > argument.size()) return std::unexpected(bad);
  ArgumentReader reader(argument.first(argument.size() - extension_bytes));

  Request request{.unique = header.unique,
                  .opcode = static_cast<abi::Opcode>(header.opcode),
                  .node = header.nodeid,
                  .operation = decode_operation(header.opcode, reader)};
  if (!reader.complete()) return std::unexpected(bad);
  return request;
}

}  // namespace castore::fuse
