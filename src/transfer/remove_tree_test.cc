// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/remove_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"

namespace castore::transfer {
namespace {

using store::testing::must;

class RemoveTree : public ::testing::Test {
 protected:
  void remove(const std::string& name) { must(transfer::remove_tree(fd_.get(), name)); }
  bool exists(const std::string& name) {
    struct stat status;
    return ::lstat((folder_ / name).c_str(), &status) == 0;
  }

  store::testing::TempFolder folder_;
  UniqueFd fd_ = must(open_file(folder_.path(), O_PATH | O_DIRECTORY));
};

TEST_F(RemoveTree, RemovesFilesSymlinksAndFoldersWithAllBelowThem) {
  folder_.write_file("file", "f");
  folder_.make_folder("kept");
  folder_.write_file("kept/file", "k");
  for (const std::string name : {"t", "t/a", "t/a/empty", "t/b", "t/b/c"})
    folder_.make_folder(name);
  for (int i = 0; i < 3000; ++i) folder_.write_file("t/b/c/" + std::to_string(i), "x");
  folder_.write_file("t/a/\xff\n", "x");
  folder_.symlink("t/link", "../kept");
  folder_.symlink("link", "kept");
  for (const std::string name : {"file", "t", "link", "nothing"}) {
    remove(name);
    EXPECT_FALSE(exists(name)) << name;
  }
  EXPECT_TRUE(exists("kept/file"));
}

TEST_F(RemoveTree, GoesDeeperThanAPathCanBeWritten) {
  const std::string name(200, 'd');
  UniqueFd at = must(open_file(folder_.path(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 4000; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0);
    at = must(open_at(at.get(), name, O_RDONLY | O_DIRECTORY));
  }
  must(open_at(at.get(), "bottom", O_WRONLY | O_CREAT, 0644));
  remove(name);
  EXPECT_FALSE(exists(name));
}

TEST_F(RemoveTree, SaysWhatCannotBeRemoved) {
  if (::geteuid() == 0) GTEST_SKIP() << "needs to be somebody who may not remove everything";
  folder_.make_folder("t");
  folder_.make_folder("t/locked");
  folder_.write_file("t/locked/file", "x");
  ASSERT_EQ(::chmod((folder_ / "t/locked").c_str(), 0555), 0);
  auto result = transfer::remove_tree(fd_.get(), "t");
  ASSERT_EQ(::chmod((folder_ / "t/locked").c_str(), 0755), 0);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message(), "removing file: Permission denied");
}

}  // namespace
}  // namespace castore::transfer
