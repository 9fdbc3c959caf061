// SPDX-License-Identifier: MIT OR Apache-2.0
#include "digest/sha256.h"

#include <gtest/gtest.h>

#include <string>

#include "base/hex.h"

namespace castore {
namespace {

TEST(Sha256Test, HashesTheExamplesOfTheStandard) {
  EXPECT_EQ(hex_encode(sha256(bytes_of(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_encode(sha256(bytes_of("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, PiecesHashAsTheWhole) {
  std::string text(100'000, 'a');
  Sha256Hasher hasher;
  for (size_t begin = 0; begin < text.size(); begin += 777)
    hasher.update(bytes_of(std::string_view(text).substr(begin, 777)));
  EXPECT_EQ(hasher.finish(), sha256(bytes_of(text)));
}

TEST(Sha256Test, SriIsTheAlgorithmAndPaddedBase64) {
  EXPECT_EQ(to_sri(sha256(bytes_of("Hello World!"))),
            "sha256-f4OxZX/x/FO5LcGBSKHWXfwtSx+j1ncoSt3SABJtkGk=");
}

}  // namespace
}  // namespace castore
