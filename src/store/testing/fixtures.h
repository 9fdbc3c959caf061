// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "digest/digest.h"
#include "model/directory.h"
#include "nix/path_info.h"
#include "store/services.h"

// Objects with known names, which peers use in their tests too, and pseudo-random content.
namespace castore::store::testing {

Digest digest_of_hex(std::string_view hex);

inline constexpr std::string_view kHelloWorld = "Hello World!";
std::string blob_a();     // two bytes
std::string blob_b();     // 1,044,480 bytes
std::string shastream();  // 2 MiB that do not compress

const Digest& hello_world_digest();
const Digest& blob_a_digest();
const Digest& blob_b_digest();
const Digest& shastream_digest();

// Digests of nothing that is known.
const Digest& unknown_digest();
const Digest& another_unknown_digest();

// `bytes` many, the same for the same `seed` and different for another.
std::string noise(size_t bytes, uint64_t seed);

// Directories of the data model's description. Their children are not stored with them.
Directory directory_with_keep();
Directory directory_b();
Directory directory_c();
Directory directory_d(SizeConvention convention = SizeConvention::kDocumented);
Directory directory_complicated(SizeConvention convention = SizeConvention::kDocumented);

// Whole trees, stored.
Node put_complicated(const Services& services,
                     SizeConvention convention = SizeConvention::kDocumented);
Node put_mixed(const Services& services, SizeConvention convention = SizeConvention::kDocumented);
// `depth` directories of `name` inside each other, and the file "bottom" in the last.
Node put_deep(const Services& services, size_t depth, std::string_view name);

Digest put_blob(const Services& services, std::string_view content);

// A store path with a digest that depends on `seed` alone.
nix::StorePath store_path(uint64_t seed, std::string name);
// The record of a store path with that node; its NAR facts are made up.
nix::PathInfo path_info(nix::StorePath path, Node node);

}  // namespace castore::store::testing
