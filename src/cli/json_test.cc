// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/json.h"

#include <gtest/gtest.h>

namespace castore::cli {
namespace {

TEST(JsonObject, KeepsTheOrderOfItsFields) {
  JsonObject object;
  object.put("z", "text").put("a", uint64_t{18446744073709551615U}).put("m", true);
  EXPECT_EQ(object.text(), R"({"z":"text","a":18446744073709551615,"m":true})");
}

TEST(JsonObject, WithoutFieldsIsEmpty) {
  EXPECT_EQ(JsonObject().text(), "{}");
}

TEST(JsonObject, StaysOnOneLine) {
  EXPECT_EQ(JsonObject().put("k", "a\n\"b\"\\\x01").text(), "{\"k\":\"a\\n\\\"b\\\"\\\\\\u0001\"}");
}

TEST(JsonObject, NestsListsAndObjects) {
  JsonObject object;
  object.put("words", std::vector<std::string>{"a", "b"})
      .put("none", std::vector<std::string>{})
      .put("objects", std::vector<JsonObject>{JsonObject().put("x", false)})
      .put("object", JsonObject().put("n", uint64_t{1}));
  EXPECT_EQ(object.text(),
            R"({"words":["a","b"],"none":[],"objects":[{"x":false}],"object":{"n":1}})");
}

TEST(JsonObject, WritesUtf8BytesOnceAndOthersExactlyBeside) {
  EXPECT_EQ(JsonObject().put_bytes("name", "gr\u00fcn").text(), "{\"name\":\"gr\u00fcn\"}");
  EXPECT_EQ(JsonObject().put_bytes("name", "\xff!").text(),
            R"({"name":"\\xff!","name_base64":"/yE="})");
}

}  // namespace
}  // namespace castore::cli
