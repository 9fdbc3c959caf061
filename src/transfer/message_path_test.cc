// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/message_path.h"

#include <gtest/gtest.h>

#include <string>

namespace castore::transfer {
namespace {

TEST(MessagePath, LeavesPathsThatPeopleWriteAlone) {
  for (const std::string& path :
       {std::string(), std::string("a"), std::string("/a/b c/d"), "/" + std::string(500, 'n')})
    EXPECT_EQ(message_path(path), path);
}

TEST(MessagePath, CutsOutTheMiddleBetweenNames) {
  std::string path = "/srv/tree";
  for (int i = 0; i < 1000; ++i) path += "/d";
  path += "/the file";
  const std::string text = message_path(path);
  EXPECT_TRUE(text.starts_with("/srv/tree/d/d/")) << text;
  EXPECT_TRUE(text.contains("/d/.../d/")) << text;
  EXPECT_TRUE(text.ends_with("/d/the file")) << text;
  EXPECT_LT(text.size(), 600u);
}

TEST(MessagePath, StaysBoundedWhileNamesAreAdded) {
  std::string path = "/srv";
  for (int i = 0; i < 5000; ++i) path = message_path(path + "/name" + std::to_string(i));
  EXPECT_LT(path.size(), 610u);
  EXPECT_TRUE(path.starts_with("/srv/name0/")) << path;
  EXPECT_TRUE(path.ends_with("/name4998/name4999")) << path;
  EXPECT_EQ(path.find("..."), path.rfind("...")) << path;
}

TEST(MessagePath, KeepsLongNamesWhole) {
  const std::string name(1020, 'n');  // 255 bytes in the longest printable form
  EXPECT_EQ(message_path(name), name);
  EXPECT_EQ(message_path("a/" + name), "a/" + name);
  EXPECT_EQ(message_path(name + "/" + name), name + "/" + name);
  EXPECT_EQ(message_path("a/b/c/d/e/" + std::string(255, 'x') + "/" + std::string(255, 'x') + "/" +
                         std::string(255, 'x') + "/" + name),
            "a/b/c/d/e/.../" + name);
}

}  // namespace
}  // namespace castore::transfer
