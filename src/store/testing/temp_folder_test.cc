// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/testing/temp_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "store/testing/must.h"

namespace castore::store::testing {
namespace {

bool exists(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0;
}

TEST(TempFolder, TakesEverythingAwayWithIt) {
  std::string path;
  {
    TempFolder folder;
    path = folder.path();
    folder.make_folder("a");
    folder.write_file("a/file", "content", 0400);
    folder.symlink("a/link", "/nowhere");
    folder.make_folder("a/closed", 0000);
    ASSERT_TRUE(exists(path + "/a/link"));
  }
  EXPECT_FALSE(exists(path));
}

TEST(TempFolder, DoesNotFollowSymlinksWhenItGoes) {
  TempFolder kept;
  kept.write_file("precious", "");
  {
    TempFolder folder;
    folder.symlink("link", kept.path());
  }
  EXPECT_TRUE(exists(kept / "precious"));
}

TEST(RemoveTree, ReachesBelowWhatOnePathCanName) {
  TempFolder folder;
  UniqueFd at = must(open_file(folder.make_folder("top"), O_RDONLY | O_DIRECTORY));
  std::string name(200, 'n');
  for (int level = 0; level < 40; ++level) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0);
    at = must(open_at(at.get(), name, O_RDONLY | O_DIRECTORY));
  }
  remove_tree(folder / "top");
  EXPECT_FALSE(exists(folder / "top"));
}

}  // namespace
}  // namespace castore::store::testing
