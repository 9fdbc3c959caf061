// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/testing/fake_kernel.h"

#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace castore::fuse::testing {
namespace {

constexpr int kErrnoMax = 4095;

class OneReplySink final : public ReplySink {
 public:
  OneReplySink(size_t room, bool lose) : room_(room), lose_(lose) {}

  size_t bytes_max() const override { return room_; }

  bool send(std::span<const ByteView> pieces) override {
    CASTORE_CHECK(!message_, "a request has one reply");
    message_.emplace();
    for (ByteView piece : pieces) message_->insert(message_->end(), piece.begin(), piece.end());
    return !lose_;
  }

  std::optional<std::vector<std::byte>> take() { return std::move(message_); }

 private:
  size_t room_;
  bool lose_;
  std::optional<std::vector<std::byte>> message_;
};

// `unique` is what the reply must carry; nothing: there must be none.
Reply check_reply(const std::vector<std::byte>& message, std::optional<uint64_t> unique,
                  size_t room) {
  abi::OutHeader header;
  CASTORE_CHECK(message.size() >= sizeof header, "a reply has a header");
  CASTORE_CHECK(message.size() <= room, "a reply keeps to the room there is");
  std::memcpy(&header, message.data(), sizeof header);
  CASTORE_CHECK(header.len == message.size(), "a reply knows its length");
  CASTORE_CHECK(unique && header.unique == *unique, "a reply names its request");
  CASTORE_CHECK(header.error <= 0 && header.error >= -kErrnoMax, "an error is an errno");
  CASTORE_CHECK(header.error == 0 || message.size() == sizeof header,
                "an error has no body beside it");
  return {.sent = true,
          .error = -header.error,
          .body = std::vector<std::byte>(message.begin() + sizeof header, message.end())};
}

template <typename T>
Answered<T> as(const Reply& reply) {
  static_assert(std::is_trivially_copyable_v<T>);
  CASTORE_CHECK(reply.sent, "the request has a reply");
  if (reply.error != 0) return std::unexpected(reply.error);
  T value;
  CASTORE_CHECK(reply.body.size() == sizeof value, "the reply's struct is whole");
  std::memcpy(&value, reply.body.data(), sizeof value);
  return value;
}

Answered<std::string> as_text(const Reply& reply) {
  CASTORE_CHECK(reply.sent, "the request has a reply");
  if (reply.error != 0) return std::unexpected(reply.error);
  return std::string(text_of(reply.body));
}

std::vector<std::byte> with_name(ByteView head, std::string_view name) {
  std::vector<std::byte> argument(head.begin(), head.end());
  ByteView text = bytes_of(name);
  argument.insert(argument.end(), text.begin(), text.end());
  argument.push_back(std::byte{0});
  return argument;
}

// Takes one struct off the front.
template <typename T>
T take_struct(ByteView& bytes) {
  T value;
  CASTORE_CHECK(bytes.size() >= sizeof value, "a record is whole");
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes = bytes.subspan(sizeof value);
  return value;
}

std::vector<Line> parse_listing(ByteView bytes, bool plus) {
  std::vector<Line> lines;
  while (!bytes.empty()) {
    size_t before = bytes.size();
    Line line;
    if (plus) line.entry = take_struct<abi::EntryOut>(bytes);
    auto dirent = take_struct<abi::Dirent>(bytes);
    CASTORE_CHECK(dirent.namelen > 0 && dirent.namelen <= bytes.size(), "a record has a name");
    line.name = text_of(bytes.first(dirent.namelen));
    line.inode = dirent.ino;
    line.next_offset = dirent.off;
    line.type = dirent.type;
    size_t record = abi::record_bytes(before - bytes.size(), dirent.namelen);
    size_t rest = record - (before - bytes.size());
    CASTORE_CHECK(rest <= bytes.size(), "a record is padded");
    bytes = bytes.subspan(rest);
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

FakeKernel::FakeKernel(Dispatcher& dispatcher, uint64_t first_unique)
    : exchange_([this, &dispatcher](ByteView request, size_t room) {
        OneReplySink sink(room, std::exchange(lose_next_reply_, false));
        dispatcher.handle(request, sink, {scratch_.get(), kReadBytesMax});
        return sink.take();
      }),
      next_unique_(first_unique),
      scratch_(std::make_unique_for_overwrite<std::byte[]>(kReadBytesMax)) {}

FakeKernel::FakeKernel(Exchange exchange, uint64_t first_unique)
    : exchange_(std::move(exchange)), next_unique_(first_unique) {}

Reply FakeKernel::raw(ByteView request, size_t room) {
  std::optional<uint64_t> unique;
  if (request.size() >= sizeof(abi::InHeader)) {
    abi::InHeader header;
    std::memcpy(&header, request.data(), sizeof header);
    unique = header.unique;
  }
  auto message = exchange_(request, room);
  return message ? check_reply(*message, unique, room) : Reply();
}

std::vector<std::byte> FakeKernel::frame(abi::Opcode opcode, uint64_t node, ByteView argument) {
  abi::InHeader header{};
  header.len = static_cast<uint32_t>(sizeof header + argument.size());
  header.opcode = static_cast<uint32_t>(opcode);
  header.unique = next_unique_;
  header.nodeid = node;
  next_unique_ += 2;
  ByteView head = bytes_of_struct(header);
  std::vector<std::byte> request(head.begin(), head.end());
  request.insert(request.end(), argument.begin(), argument.end());
  return request;
}

Reply FakeKernel::call(abi::Opcode opcode, uint64_t node, ByteView argument, size_t room) {
  return raw(frame(opcode, node, argument), room);
}

Answered<abi::InitOut> FakeKernel::init(uint32_t major, uint32_t minor) {
  struct {
    abi::InitIn in;
    abi::InitInExtension extension;
  } offer{};
  offer.in = {.major = major, .minor = minor, .max_readahead = 128 << 10, .flags = ~uint32_t{0}};
  offer.extension.flags2 = ~uint32_t{0};
  return as<abi::InitOut>(call(abi::Opcode::kInit, 0, offer));
}

Answered<abi::EntryOut> FakeKernel::lookup(uint64_t parent, std::string_view name) {
  return as<abi::EntryOut>(call(abi::Opcode::kLookup, parent, ByteView(with_name({}, name))));
}

Answered<abi::AttrOut> FakeKernel::getattr(uint64_t node) {
  return as<abi::AttrOut>(call(abi::Opcode::kGetattr, node, abi::GetattrIn{}));
}

Answered<std::string> FakeKernel::readlink(uint64_t node) {
  return as_text(call(abi::Opcode::kReadlink, node, ByteView()));
}

Answered<abi::OpenOut> FakeKernel::open(uint64_t node, uint32_t flags) {
  return as<abi::OpenOut>(
      call(abi::Opcode::kOpen, node, abi::OpenIn{.flags = flags, .open_flags = 0}));
}

Answered<std::string> FakeKernel::read(uint64_t node, uint64_t handle, uint64_t offset,
                                       uint32_t size) {
  abi::ReadIn in{};
  in.fh = handle;
  in.offset = offset;
  in.size = size;
  Reply reply = call(abi::Opcode::kRead, node, in);
  CASTORE_CHECK(reply.body.size() <= size, "no more is read than was asked for");
  return as_text(reply);
}

int FakeKernel::release(uint64_t node, uint64_t handle) {
  abi::ReleaseIn in{};
  in.fh = handle;
  return call(abi::Opcode::kRelease, node, in).error;
}

Answered<abi::OpenOut> FakeKernel::opendir(uint64_t node) {
  return as<abi::OpenOut>(call(abi::Opcode::kOpendir, node, abi::OpenIn{}));
}

Answered<std::vector<Line>> FakeKernel::list(abi::Opcode opcode, uint64_t node,
                                             const abi::ReadIn& in) {
  Reply reply = call(opcode, node, in);
  CASTORE_CHECK(reply.sent, "the request has a reply");
  CASTORE_CHECK(reply.body.size() <= in.size, "no more is listed than was asked for");
  if (reply.error != 0) return std::unexpected(reply.error);
  return parse_listing(reply.body, opcode == abi::Opcode::kReaddirplus);
}

Answered<std::vector<Line>> FakeKernel::readdir(uint64_t node, uint64_t handle, uint64_t offset,
                                                uint32_t size) {
  abi::ReadIn in{};
  in.fh = handle;
  in.offset = offset;
  in.size = size;
  return list(abi::Opcode::kReaddir, node, in);
}

Answered<std::vector<Line>> FakeKernel::readdirplus(uint64_t node, uint64_t handle, uint64_t offset,
                                                    uint32_t size) {
  abi::ReadIn in{};
  in.fh = handle;
  in.offset = offset;
  in.size = size;
  return list(abi::Opcode::kReaddirplus, node, in);
}

int FakeKernel::releasedir(uint64_t node, uint64_t handle) {
  abi::ReleaseIn in{};
  in.fh = handle;
  return call(abi::Opcode::kReleasedir, node, in).error;
}

Answered<uint64_t> FakeKernel::lseek(uint64_t node, uint64_t handle, uint64_t offset, int whence) {
  abi::LseekIn in{};
  in.fh = handle;
  in.offset = offset;
  in.whence = static_cast<uint32_t>(whence);
  auto out = as<abi::LseekOut>(call(abi::Opcode::kLseek, node, in));
  if (!out) return std::unexpected(out.error());
  return out->offset;
}

Answered<std::string> FakeKernel::getxattr(uint64_t node, std::string_view name, uint32_t size) {
  abi::GetxattrIn in{.size = size, .padding = 0};
  return as_text(
      call(abi::Opcode::kGetxattr, node, ByteView(with_name(bytes_of_struct(in), name))));
}

Answered<std::string> FakeKernel::listxattr(uint64_t node, uint32_t size) {
  return as_text(call(abi::Opcode::kListxattr, node, abi::GetxattrIn{.size = size, .padding = 0}));
}

Answered<uint32_t> FakeKernel::getxattr_length(uint64_t node, std::string_view name) {
  abi::GetxattrIn in{};
  auto out = as<abi::GetxattrOut>(
      call(abi::Opcode::kGetxattr, node, ByteView(with_name(bytes_of_struct(in), name))));
  if (!out) return std::unexpected(out.error());
  return out->size;
}

Answered<uint32_t> FakeKernel::listxattr_length(uint64_t node) {
  auto out = as<abi::GetxattrOut>(call(abi::Opcode::kListxattr, node, abi::GetxattrIn{}));
  if (!out) return std::unexpected(out.error());
  return out->size;
}

Answered<abi::StatfsOut> FakeKernel::statfs() {
  return as<abi::StatfsOut>(call(abi::Opcode::kStatfs, abi::kRootNode, ByteView()));
}

void FakeKernel::forget(uint64_t node, uint64_t count) {
  Reply reply = call(abi::Opcode::kForget, node, abi::ForgetIn{.nlookup = count});
  CASTORE_CHECK(!reply.sent, "FORGET has no reply");
}

void FakeKernel::batch_forget(const std::vector<abi::ForgetOne>& items) {
  abi::BatchForgetIn in{.count = static_cast<uint32_t>(items.size()), .dummy = 0};
  ByteView head = bytes_of_struct(in);
  std::vector<std::byte> argument(head.begin(), head.end());
  for (const abi::ForgetOne& one : items) {
    ByteView bytes = bytes_of_struct(one);
    argument.insert(argument.end(), bytes.begin(), bytes.end());
  }
  Reply reply = call(abi::Opcode::kBatchForget, 0, ByteView(argument));
  CASTORE_CHECK(!reply.sent, "BATCH_FORGET has no reply");
}

void FakeKernel::interrupt(uint64_t unique) {
  Reply reply = call(abi::Opcode::kInterrupt, 0, abi::InterruptIn{.unique = unique});
  CASTORE_CHECK(!reply.sent, "INTERRUPT has no reply");
}

}  // namespace castore::fuse::testing
