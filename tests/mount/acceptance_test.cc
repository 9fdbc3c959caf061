// SPDX-License-Identifier: MIT OR Apache-2.0
// What a mount shows, on the trees that peers test with too.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "mount_test_base.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"

namespace castore::mount_tests {
namespace {

// As a store path's base name would be.
std::string name(char digit) {
  return std::string(32, digit) + "-test";
}

Node symlink_to(std::string target) {
  return SymlinkNode{store::testing::must(SymlinkTarget::parse(std::move(target)))};
}

void expect_read_only(const struct stat& status) {
  EXPECT_EQ(status.st_mode & 0222, 0u);
}

class Acceptance : public MountTest {
 protected:
  Node complicated() { return store::testing::put_complicated(services_); }
  Node symlink() { return symlink_to(name('0')); }
  Node symlink2() { return symlink_to("/nix/store/somewhereelse"); }
};

TEST_F(Acceptance, AnEmptyMountComesAndGoes) {
  mount({});
  EXPECT_TRUE(is_mounted(mount_point_));
  end();
  EXPECT_FALSE(is_mounted(mount_point_));
}

TEST_F(Acceptance, TheRootIsNotListedUnlessAskedFor) {
  mount({});
  EXPECT_EQ(error_of(list_folder(mount_point_)), EPERM);
}

TEST_F(Acceptance, TheRootIsListedWhenAskedFor) {
  mount({{name('0'), blob_a()}}, {.list_root = true});
  auto lines = list_folder(mount_point_);
  ASSERT_TRUE(lines);
  ASSERT_EQ(names_of(*lines), std::vector{name('0')});
  EXPECT_EQ(lines->front().type, DT_REG);
  auto status = stat_of(at(name('0')));
  ASSERT_TRUE(status);
  EXPECT_TRUE(S_ISREG(status->st_mode));
  EXPECT_EQ(status->st_size, 2);
  expect_read_only(*status);
}

TEST_F(Acceptance, AFileInTheRootIsThere) {
  mount({{name('0'), blob_a()}});
  auto status = stat_of(at(name('0')));
  ASSERT_TRUE(status);
  EXPECT_TRUE(S_ISREG(status->st_mode));
  EXPECT_EQ(status->st_size, 2);
  expect_read_only(*status);
  EXPECT_EQ(*read_file(at(name('0'))), store::testing::blob_a());
}

TEST_F(Acceptance, ALargeFileReadsWhole) {
  mount({{name('5'), file(store::testing::blob_b())}});
  EXPECT_EQ(stat_of(at(name('5')))->st_size, 1044480);
  EXPECT_TRUE(*read_file(at(name('5'))) == store::testing::blob_b());
}

TEST_F(Acceptance, ASymlinkInTheRootPointsWhereItPoints) {
  mount({{name('1'), symlink()}});
  EXPECT_EQ(*link_target(at(name('1'))), name('0'));
  EXPECT_EQ(error_of(stat_of(at(name('1')))), ENOENT);
  EXPECT_EQ(error_of(read_file(at(name('1')))), ENOENT);
  EXPECT_TRUE(S_ISLNK(lstat_of(at(name('1')))->st_mode));
}

TEST_F(Acceptance, ThroughASymlinkIsItsTarget) {
  mount({{name('0'), blob_a()}, {name('1'), symlink()}});
  auto direct = stat_of(at(name('0')));
  auto through = stat_of(at(name('1')));
  ASSERT_TRUE(direct && through);
  EXPECT_EQ(through->st_ino, direct->st_ino);
  EXPECT_EQ(through->st_size, direct->st_size);
  EXPECT_EQ(*read_file(at(name('1'))), *read_file(at(name('0'))));
}

TEST_F(Acceptance, ADirectoryIsReadOnly) {
  mount({{name('2'), with_keep()}});
  auto status = stat_of(at(name('2')));
  ASSERT_TRUE(status);
  EXPECT_TRUE(S_ISDIR(status->st_mode));
  expect_read_only(*status);
}

TEST_F(Acceptance, FilesBelowAreFoundWithoutTouchingTheirParents) {
  mount({{name('2'), with_keep()}, {name('3'), complicated()}});
  for (const std::string& path : {name('3') + "/keep/.keep", name('2') + "/.keep"}) {
    auto status = stat_of(at(path));
    ASSERT_TRUE(status) << path;
    EXPECT_TRUE(S_ISREG(status->st_mode));
    expect_read_only(*status);
    EXPECT_EQ(*read_file(at(path)), "");
  }
}

TEST_F(Acceptance, AListingHasEachEntryWithItsKindInOrder) {
  mount({{name('3'), complicated()}});
  auto lines = list_folder(at(name('3')));
  ASSERT_TRUE(lines);
  ASSERT_EQ(names_of(*lines), (std::vector<std::string>{".keep", "aa", "keep"}));
  EXPECT_EQ((*lines)[0].type, DT_REG);
  EXPECT_EQ((*lines)[1].type, DT_LNK);
  EXPECT_EQ((*lines)[2].type, DT_DIR);
  for (const Listed& line : *lines)
    EXPECT_EQ(line.inode, lstat_of(at(name('3') + "/" + line.name))->st_ino);
  EXPECT_EQ(names_of(*list_folder(at(name('3') + "/keep"))), std::vector<std::string>{".keep"});
}

TEST_F(Acceptance, AttributesAreThoseOfTheModel) {
  mount({{name('0'), blob_a()},
         {name('1'), symlink()},
         {name('2'), with_keep()},
         {name('3'), complicated()},
         {name('6'), file(store::testing::kHelloWorld, true)}});
  struct Row {
    char digit;
    mode_t permissions;
    off_t size;
  };
  for (Row row : {Row{'0', 0444, 2}, Row{'1', 0444, 37}, Row{'2', 0555, 1}, Row{'3', 0555, 4},
                  Row{'6', 0555, 12}}) {
    auto status = lstat_of(at(name(row.digit)));
    ASSERT_TRUE(status) << row.digit;
    EXPECT_EQ(status->st_mode & 07777, row.permissions) << row.digit;
    EXPECT_EQ(status->st_size, row.size) << row.digit;
    EXPECT_EQ(status->st_uid, 0u);
    EXPECT_EQ(status->st_gid, 0u);
    EXPECT_EQ(status->st_nlink, 1u);
    EXPECT_EQ(status->st_atime, 0);
    EXPECT_EQ(status->st_ctime, 0);
    EXPECT_EQ(status->st_mtime, 1);
    EXPECT_EQ(status->st_blksize, 4096);
  }
}

TEST_F(Acceptance, EqualContentHasOneInodeNumber) {
  mount({{name('2'), with_keep()}, {name('3'), complicated()}, {name('4'), symlink2()}});
  std::string tree = at(name('3'));
  EXPECT_EQ(stat_of(at(name('2')))->st_ino, stat_of(tree + "/keep")->st_ino);
  EXPECT_EQ(stat_of(tree + "/.keep")->st_ino, stat_of(tree + "/keep/.keep")->st_ino);
  EXPECT_EQ(lstat_of(tree + "/aa")->st_ino, lstat_of(at(name('4')))->st_ino);
}

TEST_F(Acceptance, InodeNumbersAreTheSameAfterARemount) {
  mount({{name('3'), complicated()}});
  auto before = stat_of(at(name('3') + "/keep/.keep"));
  end();
  mount({{name('0'), blob_a()}, {name('3'), complicated()}});
  EXPECT_TRUE(stat_of(at(name('0'))));
  EXPECT_EQ(stat_of(at(name('3') + "/keep/.keep"))->st_ino, before->st_ino);
}

TEST_F(Acceptance, WrongNamesInTheRootAreNotFound) {
  mount({{name('0'), blob_a()}});
  std::string shorter = name('0').substr(0, 36);
  EXPECT_EQ(error_of(stat_of(at(shorter))), ENOENT);
  EXPECT_EQ(error_of(stat_of(at(std::string(31, '0') + "-test"))), ENOENT);
  EXPECT_TRUE(stat_of(at(name('0'))));
  EXPECT_EQ(error_of(stat_of(at(shorter))), ENOENT);
}

TEST_F(Acceptance, NothingCanBeChanged) {
  mount({{name('0'), blob_a()}, {name('2'), with_keep()}});
  std::string present = at(name('0'));
  EXPECT_EQ(open_error(at("new"), O_WRONLY | O_CREAT), EROFS);
  EXPECT_EQ(open_error(present, O_WRONLY), EROFS);
  EXPECT_EQ(open_error(present, O_RDWR), EROFS);
  auto error = [](int status) { return status == 0 ? 0 : errno; };
  EXPECT_EQ(error(::unlink(present.c_str())), EROFS);
  EXPECT_EQ(error(::mkdir(at("new").c_str(), 0755)), EROFS);
  EXPECT_EQ(error(::rmdir(at(name('2')).c_str())), EROFS);
  EXPECT_EQ(error(::rename(present.c_str(), at("new").c_str())), EROFS);
  EXPECT_EQ(error(::symlink("x", at("new").c_str())), EROFS);
  EXPECT_EQ(error(::link(present.c_str(), at("new").c_str())), EROFS);
  EXPECT_EQ(error(::chmod(present.c_str(), 0600)), EROFS);
  EXPECT_EQ(error(::chown(present.c_str(), 1, 1)), EROFS);
  EXPECT_EQ(error(::truncate(present.c_str(), 0)), EROFS);
  EXPECT_EQ(error(::utimes(present.c_str(), nullptr)), EROFS);
  EXPECT_EQ(error(::setxattr(present.c_str(), "user.x", "1", 1, 0)), EROFS);
  EXPECT_EQ(error(::removexattr(present.c_str(), "user.x")), EROFS);
}

TEST_F(Acceptance, AMissingDirectoryIsSeenAndCannotBeEntered) {
  mount({{name('2'), DirectoryNode{store::testing::unknown_digest(), 1}}});
  auto status = stat_of(at(name('2')));
  ASSERT_TRUE(status);
  EXPECT_TRUE(S_ISDIR(status->st_mode));
  EXPECT_EQ(error_of(list_folder(at(name('2')))), EIO);
  EXPECT_EQ(error_of(stat_of(at(name('2') + "/.keep"))), EIO);
}

TEST_F(Acceptance, AMissingBlobIsSeenAndCannotBeRead) {
  mount({{name('0'), FileNode{store::testing::unknown_digest(), 2, false}}});
  EXPECT_EQ(stat_of(at(name('0')))->st_size, 2);
  EXPECT_EQ(error_of(read_file(at(name('0')))), EIO);
}

TEST_F(Acceptance, EqualBytesWithAndWithoutExecutableBitKeepTheirModes) {
  Node tree = store::testing::TreeBuilder(services_)
                  .file("plain", "same")
                  .file("program", "same", true)
                  .build();
  mount({{"tree", tree}});
  EXPECT_EQ(stat_of(at("tree/plain"))->st_mode & 0777, 0444u);
  EXPECT_EQ(stat_of(at("tree/program"))->st_mode & 0777, 0555u);
  EXPECT_NE(stat_of(at("tree/plain"))->st_ino, stat_of(at("tree/program"))->st_ino);
  EXPECT_EQ(::access(at("tree/plain").c_str(), X_OK), -1);
  EXPECT_EQ(::access(at("tree/program").c_str(), X_OK), 0);
}

TEST_F(Acceptance, AStorePathNeedsItsWholeName) {
  nix::StorePath path = store::testing::store_path(1, "hello-2.12");
  store::testing::must(services_.path_infos->put({}, store::testing::path_info(path, blob_a())));
  mount_root(fs::path_info_root(services_.path_infos), {.list_root = true});
  EXPECT_EQ(stat_of(at(path.base_name()))->st_size, 2);
  EXPECT_EQ(error_of(stat_of(at(path.digest().to_text() + "-hello-2.13"))), ENOENT);
  EXPECT_EQ(error_of(stat_of(at("no-store-path"))), ENOENT);
  EXPECT_EQ(names_of(*list_folder(mount_point_)), std::vector{path.base_name()});

  nix::StorePath later = store::testing::store_path(2, "later");
  EXPECT_EQ(error_of(stat_of(at(later.base_name()))), ENOENT);
  store::testing::must(services_.path_infos->put({}, store::testing::path_info(later, blob_a())));
  EXPECT_TRUE(stat_of(at(later.base_name()))) << "new paths show at once";
  EXPECT_EQ(list_folder(mount_point_)->size(), 2u);
}

TEST_F(Acceptance, AnyNamesAndTargetsThatCanBeAreShown) {
  const std::string strange = "caf\xe9 \x01\n\xff";
  const std::string longest(255, 'n');
  const std::string far(4095, 't');
  Node tree = store::testing::TreeBuilder(services_)
                  .file(strange, "1")
                  .file(longest, "2")
                  .symlink("far", far)
                  .build();
  mount({{"tree", tree}});
  EXPECT_EQ(*read_file(at("tree/" + strange)), "1");
  EXPECT_EQ(*read_file(at("tree/" + longest)), "2");
  EXPECT_EQ(*link_target(at("tree/far")), far);
  EXPECT_EQ(names_of(*list_folder(at("tree"))),
            (std::vector{strange, std::string("far"), longest}));
  EXPECT_EQ(error_of(stat_of(at("tree/" + longest + "n"))), ENOENT);
}

TEST_F(Acceptance, TheFilesystemDescribesItself) {
  mount({{name('0'), blob_a()}});
  struct statvfs totals;
  ASSERT_EQ(::statvfs(mount_point_.c_str(), &totals), 0);
  EXPECT_EQ(totals.f_namemax, 255u);
  EXPECT_EQ(totals.f_bsize, 4096u);
  EXPECT_TRUE(totals.f_flag & ST_RDONLY);
  EXPECT_TRUE(totals.f_flag & ST_NOSUID);
  EXPECT_TRUE(totals.f_flag & ST_NODEV);
  EXPECT_TRUE(totals.f_flag & ST_NOATIME);
}

}  // namespace
}  // namespace castore::mount_tests
