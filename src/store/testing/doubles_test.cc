// SPDX-License-Identifier: MIT OR Apache-2.0
#include <gtest/gtest.h>

#include <thread>

#include "backends/memory/memory_services.h"
#include "digest/blake3.h"
#include "store/testing/damaged_services.h"
#include "store/testing/faulty_blob_service.h"
#include "store/testing/faulty_directory_service.h"
#include "store/testing/faulty_path_info_service.h"
#include "store/testing/fixtures.h"
#include "store/testing/gated_blob_service.h"
#include "store/testing/must.h"

namespace castore::store::testing {
namespace {

const Context kCtx;
const Error kBroken(ErrorKind::kUnavailable, "broken");

TEST(FaultyBlobService, FailsTheCallItWasToldToAndNoOther) {
  Services services = backends::memory_services();
  FaultyBlobService faulty(services.blobs);
  (void)must(faulty.has(kCtx, unknown_digest()));
  faulty.faults().fail_call(BlobOperation::kHas, 2, kBroken);
  EXPECT_TRUE(faulty.has(kCtx, unknown_digest()).has_value());
  auto failed = faulty.has(kCtx, unknown_digest());
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message(), "broken");
  EXPECT_TRUE(faulty.has(kCtx, unknown_digest()).has_value());
  EXPECT_EQ(faulty.faults().calls(BlobOperation::kHas), 4u);
}

TEST(FaultyBlobService, FailsReadersAndWritersToo) {
  Services services = backends::memory_services();
  Digest digest = put_blob(services, kHelloWorld);
  FaultyBlobService faulty(services.blobs);
  faulty.faults().fail_all(BlobOperation::kReadAt, kBroken);
  faulty.faults().fail_all(BlobOperation::kCommit, kBroken);

  std::byte out[4];
  EXPECT_FALSE(must(faulty.open(kCtx, digest))->read_at(kCtx, 0, out).has_value());
  auto writer = must(faulty.create(kCtx));
  must(writer->append(bytes_of("x")));
  EXPECT_FALSE(writer->commit().has_value());

  faulty.faults().heal();
  EXPECT_TRUE(must(faulty.open(kCtx, digest))->read_at(kCtx, 0, out).has_value());
}

TEST(FaultyServices, FailDirectoriesAndPathInfos) {
  Services services = backends::memory_services();
  FaultyDirectoryService directories(services.directories);
  directories.faults().fail_call(DirectoryOperation::kGet, 1, kBroken);
  EXPECT_FALSE(directories.get(kCtx, unknown_digest()).has_value());
  EXPECT_TRUE(directories.get(kCtx, unknown_digest()).has_value());

  FaultyPathInfoService path_infos(services.path_infos);
  path_infos.faults().fail_call(PathInfoOperation::kGet, 1, kBroken);
  EXPECT_FALSE(path_infos.get(kCtx, store_path(1, "x").digest()).has_value());
  EXPECT_TRUE(path_infos.get(kCtx, store_path(1, "x").digest()).has_value());
}

TEST(GatedBlobService, HoldsCallsUntilTheGateOpens) {
  Services services = backends::memory_services();
  Digest digest = put_blob(services, kHelloWorld);
  GatedBlobService gated(services.blobs);
  gated.open_gate().close();
  std::atomic<int> done{0};
  std::jthread one([&] { (void)gated.open(kCtx, digest), ++done; });
  std::jthread two([&] { (void)gated.open(kCtx, digest), ++done; });
  gated.open_gate().wait_until_held(2);
  EXPECT_EQ(done, 0);
  gated.open_gate().open();
  one.join();
  two.join();
  EXPECT_EQ(done, 2);
}

TEST(DamagedServices, GiveWhatTheTestSays) {
  Services services = backends::memory_services();
  Digest digest = put_blob(services, kHelloWorld);
  DamagedBlobService blobs(services.blobs);
  blobs.replace(digest, "other");
  auto replaced = stream_blob(kCtx, blobs, digest, [](ByteView) { return Result<void>(); });
  ASSERT_FALSE(replaced.has_value());
  EXPECT_EQ(replaced.error().kind(), ErrorKind::kCorrupt);
  blobs.lose(digest);
  EXPECT_EQ(must(blobs.open(kCtx, digest)), nullptr);
  blobs.fail_open(digest, kBroken);
  EXPECT_FALSE(blobs.open(kCtx, digest).has_value());

  DamagedDirectoryService directories(services.directories);
  directories.lose(Directory().digest());
  EXPECT_EQ(must(directories.get(kCtx, Directory().digest())), nullptr);

  nix::PathInfo info = path_info(store_path(1, "x"), FileNode{digest, 12, false});
  must(services.path_infos->put(kCtx, info));
  DamagedPathInfoService path_infos(services.path_infos);
  path_infos.damage(info.store_path.digest(), kBroken);
  bool was_listed_broken = false;
  must(path_infos.list(kCtx, [&](const auto&, const Result<nix::PathInfo>& listed) -> Result<void> {
    was_listed_broken = !listed.has_value();
    return {};
  }));
  EXPECT_TRUE(was_listed_broken);
}

}  // namespace
}  // namespace castore::store::testing
