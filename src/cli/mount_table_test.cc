// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/mount_table.h"

#include <gtest/gtest.h>

namespace castore::cli {
namespace {

TEST(CastoreMounts, AreFoundAmongOthers) {
  auto mounts = castore_mounts(
      "24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
      "90 24 0:50 / /mnt ro,nosuid shared:7 master:2 - fuse.castore castore:/var/lib/castore ro\n"
      "91 24 0:51 / /home/u/m ro - fuse.castore castore:blake3-x ro,user_id=1000\n"
      "92 24 0:52 / /sshfs rw - fuse.sshfs u@host: rw\n");
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].mountpoint, "/mnt");
  EXPECT_EQ(mounts[0].source, "castore:/var/lib/castore");
  EXPECT_EQ(mounts[1].mountpoint, "/home/u/m");
  EXPECT_EQ(mounts[1].source, "castore:blake3-x");
}

TEST(CastoreMounts, HaveTheirNamesUnescaped) {
  auto mounts = castore_mounts("1 2 0:3 / /a\\040b\\134c ro - fuse.castore castore:/s\\011t ro\n");
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].mountpoint, "/a b\\c");
  EXPECT_EQ(mounts[0].source, "castore:/s\tt");
}

TEST(CastoreMounts, PassOverLinesThatMakeNoSense) {
  EXPECT_TRUE(castore_mounts("").empty());
  EXPECT_TRUE(castore_mounts("\n\n-\n- fuse\nx y z - fuse.castore castore:/s ro\n").empty());
}

}  // namespace
}  // namespace castore::cli
