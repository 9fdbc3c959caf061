// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/mount_table.h"

#include <gtest/gtest.h>

#include "fuse_device/fusermount.h"

namespace castore::fuse_device {
namespace {

constexpr std::string_view kTable =
    "22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "40 22 0:45 / /mnt/a rw,nosuid shared:7 master:3 - fuse.castore one ro,user_id=0\n"
    "41 22 0:46 / /mnt/with\\040space\\134 ro - fuse.castore a\\040name ro\n"
    "42 40 0:47 / /mnt/a ro - fuse.castore two ro\n"
    "43 22 0:48 / /mnt/bare ro - tmpfs tmpfs rw\n";

TEST(MountTable, TheLastMountOnAPathIsTheOneThatIsSeen) {
  auto found = find_mount(kTable, "/mnt/a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->device, "0:47");
  EXPECT_EQ(found->source, "two");
  EXPECT_EQ(found->type, "fuse.castore");
}

TEST(MountTable, EscapedCharactersAreRead) {
  auto found = find_mount(kTable, "/mnt/with space\\");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->source, "a name");
}

TEST(MountTable, AnyNumberOfOptionalFieldsIsPassedOver) {
  EXPECT_EQ(find_mount(kTable, "/")->type, "ext4");
  EXPECT_EQ(find_mount(kTable, "/mnt/bare")->type, "tmpfs");
}

TEST(MountTable, APathThatOnlyBeginsAlikeIsNotFound) {
  EXPECT_FALSE(find_mount(kTable, "/mnt"));
  EXPECT_FALSE(find_mount(kTable, "/mnt/a/b"));
}

TEST(MountTable, LinesThatAreCutShortArePassedOver) {
  EXPECT_FALSE(find_mount("43 22 0:48 / /mnt/bare ro - tmpfs\n", "/mnt/bare"));
  EXPECT_FALSE(find_mount("43 22 0:48 / /mnt/bare\n\n- \n", "/mnt/bare"));
}

TEST(MountTable, TheRunningSystemHasARoot) {
  auto found = mount_at("/");
  ASSERT_TRUE(found);
  ASSERT_TRUE(*found);
  EXPECT_EQ((*found)->mount_point, "/");
}

TEST(Fusermount, CommasInAValueDoNotEndIt) {
  EXPECT_EQ(escape_option("a,b\\c"), "a\\,b\\\\c");
}

}  // namespace
}  // namespace castore::fuse_device
