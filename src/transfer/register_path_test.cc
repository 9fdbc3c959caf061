// SPDX-License-Identifier: MIT OR Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "backends/memory/memory_services.h"
#include "nix/store_path.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"
#include "transfer/ingest.h"

namespace castore::transfer {
namespace {

using store::testing::BlobOperation;
using store::testing::must;

class RegisterPath : public testing::Test {
 protected:
  Ingested ingest(std::string_view content) {
    const std::string path = folder_.write_file("f", content);
    return must(ingest_path(ctx_, services_, path, {.compute_nar = true}, tally_));
  }

  Context ctx_;
  store::testing::TempFolder folder_;
  store::Services services_ = backends::memory_services();
  Tally tally_;
};

TEST_F(RegisterPath, MakesTheContentAddressedStorePath) {
  const Ingested ingested = ingest("Hello World!");
  const nix::PathInfo info = must(register_path(ctx_, services_, "hello", ingested));
  EXPECT_EQ(info.store_path, must(nix::store_path_of_nar(ingested.nar->sha256, "hello")));
  EXPECT_EQ(info.node, ingested.root);
  EXPECT_EQ(info.nar_size, ingested.nar->size);
  EXPECT_EQ(info.nar_sha256, ingested.nar->sha256);
  EXPECT_TRUE(info.references.empty());
  ASSERT_TRUE(info.content_address);
  EXPECT_EQ(info.content_address->kind, nix::ContentAddress::Kind::kNarSha256);
  EXPECT_EQ(must(services_.path_infos->get(ctx_, info.store_path.digest())), info);
}

TEST_F(RegisterPath, RefusesANameThatNoStorePathCanHave) {
  const Ingested ingested = ingest("content");
  EXPECT_FALSE(register_path(ctx_, services_, "a b", ingested));
}

TEST_F(RegisterPath, MakesEverythingDurableFirst) {
  auto blobs = std::make_shared<store::testing::FaultyBlobService>(services_.blobs);
  services_.blobs = blobs;
  const Ingested ingested = ingest("content");
  blobs->faults().fail_all(BlobOperation::kSync, Error(ErrorKind::kExhausted, "no room"));
  EXPECT_FALSE(register_path(ctx_, services_, "f", ingested));
  size_t count = 0;
  must(services_.path_infos->list(ctx_, [&](const auto&, auto) -> Result<void> {
    ++count;
    return {};
  }));
  EXPECT_EQ(count, 0u);
}

}  // namespace
}  // namespace castore::transfer
