// SPDX-License-Identifier: MIT OR Apache-2.0
#include "config/open_services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "digest/blake3.h"

namespace castore::config {
namespace {

using ::testing::HasSubstr;

class OpenServices : public ::testing::Test {
 protected:
  OpenServices() {
    std::string pattern = ::testing::TempDir() + "/castore-config-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~OpenServices() override { std::filesystem::remove_all(folder_); }

  std::string folder(const std::string& name) const { return folder_ + "/" + name; }

  static std::string error_of(const ServiceAddresses& addresses) {
    auto services = open_services(addresses, Access::kWrite);
    return services ? "no error" : services.error().message();
  }

  static ServiceAddresses all_in_memory() {
    return {.store_folder = "/nowhere",
            .blobs = "memory://",
            .directories = "memory://",
            .path_infos = "memory://"};
  }

  std::string folder_;
};

TEST_F(OpenServices, WritingMakesTheStoreFolder) {
  auto services = open_services({.store_folder = folder("store")}, Access::kWrite);
  ASSERT_TRUE(services) << services.error().message();
  EXPECT_NE(services->blobs, nullptr);
  EXPECT_NE(services->directories, nullptr);
  EXPECT_NE(services->path_infos, nullptr);
  EXPECT_NE(services->import_cache, nullptr);
  EXPECT_TRUE(std::filesystem::is_directory(folder("store")));
}

TEST_F(OpenServices, ReadingAMissingStoreMakesNothingAndSaysHowToMakeOne) {
  auto services = open_services({.store_folder = folder("store")}, Access::kRead);
  ASSERT_FALSE(services);
  EXPECT_EQ(services.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(services.error().message(), HasSubstr(folder("store")));
  EXPECT_THAT(services.error().message(), HasSubstr("castore import"));
  EXPECT_FALSE(std::filesystem::exists(folder("store")));
}

TEST_F(OpenServices, TheStoreFolderStaysUntouchedWhenEveryServiceHasAnAddress) {
  ServiceAddresses addresses = all_in_memory();
  addresses.store_folder = folder("store");
  ASSERT_TRUE(open_services(addresses, Access::kWrite));
  EXPECT_FALSE(std::filesystem::exists(folder("store")));
}

TEST_F(OpenServices, MemoryServicesKeepNoImportCache) {
  auto services = open_services(all_in_memory(), Access::kWrite);
  ASSERT_TRUE(services);
  EXPECT_EQ(services->import_cache, nullptr);
}

TEST_F(OpenServices, EachServiceLivesWhereItsAddressSays) {
  Context ctx;
  Bytes content = Bytes::copy_of("apart");
  Digest digest = blake3(content.view());
  ServiceAddresses apart{.store_folder = folder("main"), .blobs = "local://" + folder("blobs")};
  {
    auto services = open_services(apart, Access::kWrite);
    ASSERT_TRUE(services) << services.error().message();
    ASSERT_TRUE(services->blobs->put(ctx, digest, content));
    ASSERT_TRUE(services->blobs->sync(ctx));
  }
  auto blobs = open_services({.store_folder = folder("blobs")}, Access::kRead);
  ASSERT_TRUE(blobs);
  EXPECT_TRUE(blobs->blobs->has(ctx, digest).value());
  auto main = open_services({.store_folder = folder("main")}, Access::kRead);
  ASSERT_TRUE(main);
  EXPECT_FALSE(main->blobs->has(ctx, digest).value());
}

TEST_F(OpenServices, AnUnknownSchemeListsTheKnownOnes) {
  ServiceAddresses addresses = all_in_memory();
  addresses.directories = "carrier-pigeon://loft";
  std::string error = error_of(addresses);
  EXPECT_THAT(error, HasSubstr("directory service carrier-pigeon://loft"));
  EXPECT_THAT(error, HasSubstr("unknown scheme 'carrier-pigeon'"));
  EXPECT_THAT(error, HasSubstr("memory://, local:///DIR"));
}

TEST_F(OpenServices, AnAddressWithoutASchemeIsRefused) {
  ServiceAddresses addresses = all_in_memory();
  addresses.blobs = "/srv/castore";
  EXPECT_THAT(error_of(addresses), HasSubstr("no scheme"));
}

TEST_F(OpenServices, ALocalAddressMustBeAbsolute) {
  ServiceAddresses addresses = all_in_memory();
  for (const char* address : {"local://", "local://here", "local://here/there"}) {
    addresses.path_infos = address;
    EXPECT_THAT(error_of(addresses), HasSubstr("absolute folder")) << address;
  }
}

TEST_F(OpenServices, AMemoryAddressTakesNoHostAndNoPath) {
  ServiceAddresses addresses = all_in_memory();
  for (const char* address : {"memory://host", "memory:///path"}) {
    addresses.blobs = address;
    EXPECT_THAT(error_of(addresses), HasSubstr("neither host nor path")) << address;
  }
}

TEST(LocalPlaces, AreTheFoldersOfLocalAddressesEachOnce) {
  ServiceAddresses addresses{.store_folder = "/srv/a", .blobs = "local:///srv/b"};
  EXPECT_THAT(local_places(addresses).folders, testing::ElementsAre("/srv/a", "/srv/b"));
  EXPECT_EQ(local_places(addresses).written_files.size(), 2u);
  addresses.directories = addresses.path_infos = "memory://";
  EXPECT_THAT(local_places(addresses).folders, testing::ElementsAre("/srv/b"));
}

TEST(LocalPlaces, CanBeMoved) {
  ServiceAddresses moved = with_folder_at(
      {.store_folder = "/srv/a", .blobs = "local:///srv/a", .directories = "memory://"}, "/");
  EXPECT_EQ(moved.store_folder, "/");
  EXPECT_EQ(moved.blobs, "local:///");
  EXPECT_EQ(moved.directories, "memory://");
}

TEST(DefaultStoreFolder, IsAbsolute) {
  EXPECT_EQ(default_store_folder().front(), '/');
}

}  // namespace
}  // namespace castore::config
