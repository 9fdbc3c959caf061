// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <string>

#include "base/bytes.h"

struct evp_md_ctx_st;

namespace castore {

using Sha256 = std::array<std::byte, 32>;

// "sha256-" and padded base64, the form Nix and browsers call SRI.
std::string to_sri(const Sha256& hash);

// Hashes a stream with SHA-256. One thread at a time.
class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept = default;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept = default;

  void update(ByteView bytes);

  // The hash of everything. Called once, last.
  Sha256 finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Sha256 sha256(ByteView bytes);

}  // namespace castore
