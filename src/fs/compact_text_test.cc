// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fs/compact_text.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace castore::fs {
namespace {

TEST(CompactText, KeepsATextOfAnyLengthThroughMoves) {
  for (size_t size : {0, 1, 18, 19, 20, 254, 255, 256, 4095, 70'000}) {
    std::string text(size, 'x');
    for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7);
    CompactText first(text);
    EXPECT_EQ(first.view(), text) << size;
    CompactText second(std::move(first));
    EXPECT_EQ(second.view(), text) << size;
  }
}

}  // namespace
}  // namespace castore::fs
