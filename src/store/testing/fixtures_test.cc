// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/testing/fixtures.h"

#include <gtest/gtest.h>

#include "backends/memory/memory_services.h"
#include "digest/blake3.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"

namespace castore::store::testing {
namespace {

const Digest& digest_of(const Node& node) {
  return std::get<DirectoryNode>(node).digest;
}

TEST(Fixtures, BlobsHaveTheirKnownDigests) {
  EXPECT_EQ(blake3(kHelloWorld), hello_world_digest());
  EXPECT_EQ(blake3(blob_a()), blob_a_digest());
  EXPECT_EQ(blake3(blob_b()), blob_b_digest());
  EXPECT_EQ(blake3(shastream()), shastream_digest());
}

TEST(Fixtures, DirectoriesHaveTheirKnownDigests) {
  EXPECT_EQ(directory_with_keep().digest(),
            digest_of_hex("8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e"));
  EXPECT_EQ(directory_b().digest(),
            digest_of_hex("8701f4722d8dae7f2c40fa003331b8437a3825f9e1bfd3a77998c64cc226b9cc"));
  EXPECT_EQ(directory_c().digest(),
            digest_of_hex("78eb200ae0cc95d4ea954655fbcf91e285013a261310e161927f2401d2bca803"));
  EXPECT_EQ(directory_d().digest(),
            digest_of_hex("99922a5c1801805287a647af73bca0ed7352a5f7f373e54992795bcc4a235213"));
  EXPECT_EQ(directory_d(SizeConvention::kDoubled).digest(),
            digest_of_hex("76cd8b55b37333961c1778ba997e57df92e219926ae5a66c414b810331a77603"));
}

TEST(Fixtures, NoiseDependsOnTheSeedAndIsAsLongAsAsked) {
  EXPECT_EQ(noise(1001, 5).size(), 1001u);
  EXPECT_EQ(noise(1001, 5), noise(1001, 5));
  EXPECT_NE(noise(1001, 5), noise(1001, 6));
}

TEST(TreeBuilder, MakesTheKnownTrees) {
  Services services = backends::memory_services();
  EXPECT_EQ(digest_of(put_complicated(services)), directory_complicated().digest());
  EXPECT_EQ(digest_of(put_complicated(services, SizeConvention::kDoubled)),
            directory_complicated(SizeConvention::kDoubled).digest());
  Node mixed = put_mixed(services);
  EXPECT_EQ(digest_of(mixed),
            digest_of_hex("a639d60a1ed2e5998b6c1e3a4b7b723b20bfa4ffdb8c493edf6ecdd71f451bcc"));
  EXPECT_EQ(std::get<DirectoryNode>(mixed).size, 7u);
  EXPECT_EQ(digest_of(put_mixed(services, SizeConvention::kDoubled)),
            digest_of_hex("a981e0e17caeca1573ffcbb3ca42deba3bf891f45098402fa56319c9aad4dce8"));
}

TEST(TreeBuilder, StoresEveryDirectoryAndBlobOfTheTree) {
  Services services = backends::memory_services();
  TreeBuilder(services).file("a/b/c", kHelloWorld).directory("x/y").build();
  EXPECT_TRUE(must(services.blobs->has(Context(), hello_world_digest())));
  size_t count = 0;
  must(services.directories->list(Context(), [&](const Digest&) -> Result<void> {
    ++count;
    return {};
  }));
  EXPECT_EQ(count, 4u);  // the root, a, a/b and x; x/y is the empty directory
}

TEST(TreeBuilder, AnUnusedOneMakesTheEmptyDirectory) {
  EXPECT_EQ(digest_of(TreeBuilder(backends::memory_services()).build()), Directory().digest());
}

TEST(Fixtures, ADeepTreeCountsItsLevels) {
  Services services = backends::memory_services();
  Node node = put_deep(services, 100, "d");
  EXPECT_EQ(std::get<DirectoryNode>(node).size, 101u);
}

}  // namespace
}  // namespace castore::store::testing
