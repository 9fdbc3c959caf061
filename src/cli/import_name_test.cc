// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/import_name.h"

#include <gtest/gtest.h>

namespace castore::cli {
namespace {

std::string name_of(std::string_view path) {
  auto name = import_name(path);
  return name ? *name : "refused";
}

TEST(ImportName, IsTheLastComponent) {
  EXPECT_EQ(name_of("c"), "c");
  EXPECT_EQ(name_of("a/b/c"), "c");
  EXPECT_EQ(name_of("/a"), "a");
  EXPECT_EQ(name_of("a/b/../c"), "c");
  EXPECT_EQ(name_of("a/b/../c/d/../e"), "e");
}

TEST(ImportName, PassesOverTrailingSlashesAndDots) {
  EXPECT_EQ(name_of("a/b/"), "b");
  EXPECT_EQ(name_of("a/b///"), "b");
  EXPECT_EQ(name_of("a/b/./."), "b");
  EXPECT_EQ(name_of("./b"), "b");
  EXPECT_EQ(name_of("dot."), "dot.");
}

TEST(ImportName, RefusesPathsWithoutANameOfTheirOwn) {
  for (const char* path : {"", ".", "..", "/", "//", "./", "a/b/..", "a/../", "../.."})
    EXPECT_EQ(name_of(path), "refused") << path;
}

TEST(ImportName, RefusesNamesAStorePathCannotCarry) {
  for (const char* path : {"a/\xff", "a/two words", "gr\u00fcn"})
    EXPECT_EQ(name_of(path), "refused") << path;
}

}  // namespace
}  // namespace castore::cli
