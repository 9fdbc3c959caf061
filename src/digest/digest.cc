// SPDX-License-Identifier: MIT OR Apache-2.0
#include "digest/digest.h"

#include <algorithm>

#include "base/base64.h"
#include "base/hex.h"

namespace castore {
namespace {

constexpr std::string_view kPrefix = "blake3-";
constexpr std::string_view kOldPrefix = "b3:";

}  // namespace

Result<Digest> Digest::from_bytes(ByteView bytes) {
  if (bytes.size() != kBytes)
    return fail(ErrorKind::kInvalidArgument, "invalid digest length: {}", bytes.size());
  Digest digest;
  std::copy(bytes.begin(), bytes.end(), digest.bytes_.begin());
  return digest;
}

Result<Digest> Digest::parse(std::string_view text) {
  std::string_view encoded = text;
  if (encoded.starts_with(kPrefix)) {
    encoded.remove_prefix(kPrefix.size());
  } else if (encoded.starts_with(kOldPrefix)) {
    encoded.remove_prefix(kOldPrefix.size());
  } else {
    return fail(ErrorKind::kInvalidArgument,
                "invalid hash type: expected a 'blake3-' prefixed digest, got '{}'", text);
  }
  auto bytes = base64_decode(encoded);
  if (!bytes) return fail(ErrorKind::kInvalidArgument, "invalid digest length: {}", text.size());
  return from_bytes(*bytes);
}

std::string Digest::to_text() const {
  return std::string(kPrefix) + base64_encode(bytes_);
}
std::string Digest::to_hex() const {
  return hex_encode(bytes_);
}

}  // namespace castore
