// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/root_names.h"

#include <gtest/gtest.h>

namespace castore::fs {
namespace {

TEST(RootNames, RememberANodeForEachName) {
  RootNames names;
  names.remember("a", 20);
  names.remember("b", 20);
  names.remember("c", 30);
  EXPECT_EQ(names.find("a"), 20u);
  EXPECT_EQ(names.find("b"), 20u);
  EXPECT_EQ(names.find("c"), 30u);
  EXPECT_EQ(names.find("d"), std::nullopt);
}

TEST(RootNames, ANodeThatIsGoneTakesAllItsNamesAlong) {
  RootNames names;
  names.remember("a", 20);
  names.remember("b", 20);
  names.remember("c", 30);
  names.forget(20);
  names.forget(99);
  EXPECT_EQ(names.find("a"), std::nullopt);
  EXPECT_EQ(names.find("c"), 30u);
  EXPECT_EQ(names.count(), 1u);
}

TEST(RootNames, AReplacedNodeDoesNotTakeTheNameAlong) {
  RootNames names;
  names.remember("a", 20);
  names.remember("a", 30);
  names.remember("a", 30);
  names.forget(20);
  EXPECT_EQ(names.find("a"), 30u);
  names.forget(30);
  EXPECT_EQ(names.count(), 0u);
}

}  // namespace
}  // namespace castore::fs
