// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "fs/filesystem.h"
#include "fuse/abi.h"
#include "fuse/errno_of.h"

namespace castore::fuse {

// What one request asks, by opcode. Names are views into the request's bytes, hold no NUL, and are
// otherwise unchecked: the filesystem knows which names can exist.
struct InitRequest {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t max_readahead = 0;
  uint64_t flags = 0;  // both halves
};
struct LookupRequest {
  std::string_view name;
};
struct ForgetRequest {
  uint64_t count = 0;
};
struct BatchForgetRequest {
  ByteView items;  // abi::ForgetOne, unaligned

  size_t count() const { return items.size() / sizeof(abi::ForgetOne); }
  abi::ForgetOne item(size_t i) const;
};
struct GetattrRequest {};
struct ReadlinkRequest {};
struct OpenRequest {
  bool for_writing = false;
};
struct ReadRequest {
  fs::HandleId handle = 0;
  uint64_t offset = 0;
  uint32_t size = 0;
};
struct ReleaseRequest {
  fs::HandleId handle = 0;
};
struct OpendirRequest {};
struct ReaddirRequest {
  fs::HandleId handle = 0;
  uint64_t offset = 0;
  uint32_t size = 0;
  bool plus = false;
};
struct ReleasedirRequest {
  fs::HandleId handle = 0;
};
struct GetxattrRequest {
  std::string_view name;
  uint32_t size = 0;  // 0: only the length is asked for
};
struct ListxattrRequest {
  uint32_t size = 0;
};
struct LseekRequest {
  fs::HandleId handle = 0;
  uint64_t offset = 0;
  fs::SeekFor what = fs::SeekFor::kData;
};
struct IoctlRequest {
  uint32_t command = 0;
  uint32_t room = 0;  // for bytes beside the result
};
struct StatfsRequest {};
struct InterruptRequest {
  uint64_t unique = 0;
};
struct DestroyRequest {};
// An opcode that always has the same answer. Its argument is not looked at.
struct RefusedRequest {
  Refusal refusal = Refusal::kNotImplemented;
};
// An answer to something this server never sends.
struct IgnoredRequest {};

using Operation =
    std::variant<InitRequest, LookupRequest, ForgetRequest, BatchForgetRequest, GetattrRequest,
                 ReadlinkRequest, OpenRequest, ReadRequest, ReleaseRequest, OpendirRequest,
                 ReaddirRequest, ReleasedirRequest, GetxattrRequest, ListxattrRequest, LseekRequest,
                 IoctlRequest, StatfsRequest, InterruptRequest, DestroyRequest, RefusedRequest,
                 IgnoredRequest>;

struct Request {
  uint64_t unique = 0;   // the request's number, which its answer repeats
  abi::Opcode opcode{};  // as it was given, known or not
  fs::NodeId node = 0;
  Operation operation;
};

// Bytes that are no request.
struct BadRequest {
  Refusal refusal = Refusal::kMalformed;
  std::optional<uint64_t> unique;  // nothing: there is nobody to be told
};

// Reads one request. Strict: the length in the header is the number of bytes given, the argument is
// exactly as long as its opcode says, and a name is ended by the one NUL at its end. (INIT alone
// may be longer than known, as that is how it grows.) An opcode of the future is a RefusedRequest.
std::expected<Request, BadRequest> decode_request(ByteView bytes);

}  // namespace castore::fuse
