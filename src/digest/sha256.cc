// SPDX-License-Identifier: MIT OR Apache-2.0
#include "digest/sha256.h"

#include <openssl/evp.h>

#include "base/base64.h"
#include "base/check.h"

namespace castore {
namespace {

// Fetching the algorithm once saves its look-up at each use.
const EVP_MD* algorithm() {
  static EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CASTORE_CHECK(md != nullptr, "OpenSSL offers no SHA-256");
  return md;
}

}  // namespace

std::string to_sri(const Sha256& hash) {
  return "sha256-" + base64_encode(hash);
}

void Sha256Hasher::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Sha256Hasher::Sha256Hasher() : context_(EVP_MD_CTX_new()) {
  CASTORE_CHECK(context_ && EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr) == 1,
                "starting SHA-256");
}

void Sha256Hasher::update(ByteView bytes) {
  CASTORE_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1,
                "hashing with SHA-256");
}

Sha256 Sha256Hasher::finish() {
  Sha256 hash;
  CASTORE_CHECK(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(hash.data()),
                                   nullptr) == 1,
                "finishing SHA-256");
  return hash;
}

Sha256 sha256(ByteView bytes) {
  Sha256Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace castore
