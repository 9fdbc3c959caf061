// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/root.h"

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <sstream>

#include "backends/memory/memory_services.h"
#include "store/testing/damaged_services.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"

namespace castore::fs {
namespace {

using store::testing::must;
using store::testing::path_info;
using store::testing::store_path;

Node file_node(uint64_t size) {
  return FileNode{store::testing::unknown_digest(), size, false};
}

std::vector<std::string> names_of(const std::vector<NamedNode>& entries) {
  std::vector<std::string> names;
  for (const NamedNode& entry : entries) names.push_back(entry.name);
  return names;
}

class PathInfoRootTest : public ::testing::Test {
 protected:
  std::shared_ptr<store::testing::DamagedPathInfoService> service_ =
      std::make_shared<store::testing::DamagedPathInfoService>(
          backends::memory_path_info_service());
  std::shared_ptr<RootProvider> root_ = path_info_root(service_);
};

TEST_F(PathInfoRootTest, ShowsARegisteredPathAtOnce) {
  auto path = store_path(1, "hello-1.0");
  EXPECT_EQ(must(root_->lookup(Context(), path.base_name())), std::nullopt);
  must(service_->put(Context(), path_info(path, file_node(5))));
  EXPECT_EQ(must(root_->lookup(Context(), path.base_name())), file_node(5));
}

TEST_F(PathInfoRootTest, TheRightDigestWithAnotherNameIsAbsent) {
  auto path = store_path(1, "hello-1.0");
  must(service_->put(Context(), path_info(path, file_node(5))));
  auto other = must(nix::StorePath::make(path.digest(), "hello-1.1"));
  EXPECT_EQ(must(root_->lookup(Context(), other.base_name())), std::nullopt);
}

TEST_F(PathInfoRootTest, WhatIsNoStorePathIsAbsent) {
  for (std::string_view name : {"hello", ".Trash", "\xff\xfe", "0123-x"})
    EXPECT_EQ(must(root_->lookup(Context(), name)), std::nullopt) << name;
}

TEST_F(PathInfoRootTest, ListsSortedByName) {
  for (uint64_t seed = 0; seed < 50; ++seed)
    must(service_->put(Context(), path_info(store_path(seed, "n"), file_node(seed))));
  auto names = names_of(must(root_->list(Context())));
  EXPECT_EQ(names.size(), 50u);
  EXPECT_TRUE(std::ranges::is_sorted(names));
}

// Class of fault: one damaged object made what does not depend on it unreachable.
TEST_F(PathInfoRootTest, ADamagedRecordIsLeftOutOfTheListingAndLogged) {
  auto damaged = store_path(1, "damaged");
  auto intact = store_path(2, "intact");
  must(service_->put(Context(), path_info(damaged, file_node(1))));
  must(service_->put(Context(), path_info(intact, file_node(2))));
  service_->damage(damaged.digest(), Error(ErrorKind::kCorrupt, "bad bytes"));

  std::ostringstream log;
  auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  auto listed = root_->list(Context());
  spdlog::set_default_logger(before);

  EXPECT_EQ(names_of(must(std::move(listed))), std::vector<std::string>{intact.base_name()});
  EXPECT_TRUE(log.str().contains(damaged.digest().to_text())) << log.str();
  EXPECT_TRUE(log.str().contains("bad bytes")) << log.str();
}

TEST_F(PathInfoRootTest, ADamagedRecordIsAnErrorWhenItIsLookedUp) {
  auto path = store_path(1, "n");
  must(service_->put(Context(), path_info(path, file_node(1))));
  service_->damage(path.digest(), Error(ErrorKind::kCorrupt, "bad bytes"));
  auto found = root_->lookup(Context(), path.base_name());
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().kind(), ErrorKind::kCorrupt);
}

// Who lists must not take the rest for all there is.
TEST_F(PathInfoRootTest, ARecordThatCannotBeReadNowFailsTheListing) {
  auto path = store_path(1, "n");
  must(service_->put(Context(), path_info(path, file_node(1))));
  service_->damage(path.digest(), Error(ErrorKind::kUnavailable, "no answer"));
  auto listed = root_->list(Context());
  ASSERT_FALSE(listed.has_value());
  EXPECT_EQ(listed.error().kind(), ErrorKind::kUnavailable);
  EXPECT_TRUE(listed.error().message().contains(path.digest().to_text()));
}

TEST(DirectoryRoot, ShowsTheEntriesOfOneDirectory) {
  auto directory = std::make_shared<const Directory>(store::testing::directory_complicated());
  auto root = directory_root(directory);
  EXPECT_EQ(root->fixed(), directory);
  EXPECT_EQ(names_of(must(root->list(Context()))),
            (std::vector<std::string>{".keep", "aa", "keep"}));
  EXPECT_TRUE(must(root->lookup(Context(), "aa")).has_value());
  EXPECT_FALSE(must(root->lookup(Context(), "bb")).has_value());
}

TEST(MapRoot, ShowsItsNames) {
  auto root = map_root({{"b", file_node(2)}, {"a", file_node(1)}});
  EXPECT_EQ(root->fixed(), nullptr);
  EXPECT_EQ(names_of(must(root->list(Context()))), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(must(root->lookup(Context(), "b")), file_node(2));
  EXPECT_EQ(must(root->lookup(Context(), "c")), std::nullopt);
}

}  // namespace
}  // namespace castore::fs
