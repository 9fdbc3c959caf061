// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/node.h"
#include "nix/store_path.h"

namespace castore::nix {

struct Signature {
  static constexpr size_t kBytes = 64;  // Ed25519

  std::string name;  // UTF-8
  std::array<std::byte, kBytes> data{};

  friend bool operator==(const Signature&, const Signature&) = default;
};

// How a store path follows from content. The numbers are those of the wire format.
struct ContentAddress {
  enum class Kind : uint8_t {
    kNarSha256 = 0,
    kNarSha1 = 1,
    kNarSha512 = 2,
    kNarMd5 = 3,
    kTextSha256 = 4,
    kFlatSha1 = 5,
    kFlatMd5 = 6,
    kFlatSha256 = 7,
    kFlatSha512 = 8,
  };

  Kind kind = Kind::kNarSha256;
  std::vector<std::byte> digest;  // as long as the algorithm says

  friend bool operator==(const ContentAddress&, const ContentAddress&) = default;
};

// What a store knows about one store path.
struct PathInfo {
  StorePath store_path;
  Node node;
  std::vector<StorePath> references{};
  uint64_t nar_size = 0;
  Sha256 nar_sha256{};
  std::vector<Signature> signatures{};
  std::optional<StorePath> deriver{};  // without ".drv"
  std::optional<ContentAddress> content_address{};

  friend bool operator==(const PathInfo&, const PathInfo&) = default;
};

// The PathInfo message of the tvix and snix store protocols (docs/formats/path-info.md).
std::string encode_path_info(const PathInfo& info);

// Strict; kCorrupt with the field's error name ("NarInfoFieldMissing", ...) in the message.
Result<PathInfo> decode_path_info(ByteView bytes);

}  // namespace castore::nix
