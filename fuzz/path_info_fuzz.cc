// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A PathInfo that was decoded once is the same after another trip through bytes, and its encoding
// does not change any more.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/check.h"
#include "nix/path_info.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace castore;
  const auto info = nix::decode_path_info(std::as_bytes(std::span(data, size)));
  if (!info) {
    CASTORE_CHECK(!info.error().message().empty(), "a refusal without a reason");
    return 0;
  }
  const std::string encoded = nix::encode_path_info(*info);
  const auto again = nix::decode_path_info(bytes_of(encoded));
  CASTORE_CHECK(again.has_value(), "our own encoding is refused");
  CASTORE_CHECK(*again == *info, "a path info changed on its way through bytes");
  CASTORE_CHECK(nix::encode_path_info(*again) == encoded, "two encodings of one path info differ");
  return 0;
}
