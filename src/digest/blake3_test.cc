// SPDX-License-Identifier: MIT OR Apache-2.0
#include "digest/blake3.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/hex.h"
#include "base/thread_pool.h"
#include "digest/sha256.h"

namespace castore {
namespace {

using namespace std::string_view_literals;

constexpr size_t kMiB = size_t{1} << 20;

// Bytes in which every 1 KiB chunk differs from every other.
std::vector<std::byte> distinct_chunks(size_t length) {
  std::vector<std::byte> bytes(length);
  std::mt19937_64 random(7);
  size_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t value = random();
    std::memcpy(bytes.data() + i, &value, 8);
  }
  for (; i < length; ++i) bytes[i] = static_cast<std::byte>(i & 0xff);
  return bytes;
}

const std::vector<std::byte>& sample() {
  static const std::vector<std::byte> bytes = distinct_chunks(40 * kMiB);
  return bytes;
}

// The digest of the first `length` bytes of the sample, in one call.
Digest plain(size_t length) {
  return blake3(ByteView(sample()).first(length));
}

TEST(Blake3Test, KnowsTheDigestsOfTheFormat) {
  EXPECT_EQ(blake3("").to_hex(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  EXPECT_EQ(blake3("Hello World!").to_hex(),
            "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
  EXPECT_EQ(blake3("\0\1"sv).to_hex(),
            "7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63");
  EXPECT_EQ(blake3("\1\2\3").to_hex(),
            "b177ec1bf26dfb3b7010d473e6d44713b29b765b99c6e60ecbfae742de496543");
  EXPECT_EQ(blake3("\4\5").to_hex(),
            "5f805527aa94f2a9a3a782cad8cc18b63cf6017e7bc65ca96aeada8392d4c525");
}

TEST(Blake3Test, KnowsTheDigestsOfLongerBlobs) {
  std::string repeated;
  for (int i = 0; i < 4096; ++i)
    for (int value = 0; value < 255; ++value) repeated.push_back(static_cast<char>(value));
  EXPECT_EQ(repeated.size(), 1044480u);
  EXPECT_EQ(blake3(repeated).to_hex(),
            "a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2");

  EXPECT_EQ(blake3(std::string(kMiB, '\0')).to_hex(),
            "488de202f73bd976de4e7048f4e1f39a776d86d582b7348ff53bf432b987fca8");

  std::string hashes;
  for (uint64_t i = 0; i < 65536; ++i) {
    std::string counter;
    for (int shift = 0; shift < 64; shift += 8)
      counter.push_back(static_cast<char>(i >> shift & 0xff));
    hashes += text_of(sha256(bytes_of(counter)));
  }
  EXPECT_EQ(blake3(hashes).to_hex(),
            "ed41a6dd468aa13441d3c3e846b05d3e46f10733a2b06780d80f32530ac376de");
}

TEST(Blake3Test, FinishMayBeAskedAgainAndHashingGoesOn) {
  Blake3Hasher hasher;
  hasher.update(bytes_of("Hello "));
  EXPECT_EQ(hasher.finish(), blake3("Hello "));
  EXPECT_EQ(hasher.finish(), blake3("Hello "));
  hasher.update(bytes_of("World!"));
  EXPECT_EQ(hasher.finish(), blake3("Hello World!"));
}

TEST(Blake3Test, PiecesHashAsTheWhole) {
  for (size_t step : {size_t{1}, size_t{63}, size_t{1024}, size_t{1025}, size_t{65536}}) {
    Blake3Hasher hasher;
    const size_t length = 200'000;
    for (size_t begin = 0; begin < length; begin += step)
      hasher.update(ByteView(sample()).subspan(begin, std::min(step, length - begin)));
    EXPECT_EQ(hasher.finish(), plain(length)) << step;
  }
}

class ParallelBlake3Test : public testing::Test {
 protected:
  // Hashes consecutive pieces of the sample, each in one parallel call.
  Digest in_pieces(const std::vector<size_t>& pieces) {
    Blake3Hasher hasher;
    size_t begin = 0;
    for (size_t piece : pieces) {
      hasher.update_parallel(ByteView(sample()).subspan(begin, piece), pool_);
      begin += piece;
    }
    return hasher.finish();
  }

  void expect_plain(const std::vector<size_t>& pieces) {
    size_t length = 0;
    for (size_t piece : pieces) length += piece;
    EXPECT_EQ(in_pieces(pieces), plain(length)) << testing::PrintToString(pieces);
  }

  ThreadPool pool_{"hash", 3, 8};
};

TEST_F(ParallelBlake3Test, OneCallEqualsPlainAtEverySize) {
  for (size_t length : {size_t{0},    size_t{1},       size_t{63},    size_t{64},
                        size_t{65},   size_t{1023},    size_t{1024},  size_t{1025},
                        size_t{2048}, kMiB - 1,        kMiB,          kMiB + 1,
                        2 * kMiB - 1, 2 * kMiB,        2 * kMiB + 1,  2 * kMiB + 1024,
                        3 * kMiB,     3 * kMiB + 1023, 4 * kMiB,      5 * kMiB + 12345,
                        7 * kMiB,     8 * kMiB,        16 * kMiB - 1, 16 * kMiB,
                        40 * kMiB})
    expect_plain({length});
}

TEST_F(ParallelBlake3Test, AFirstCallThatEndsAnywhereIsContinued) {
  for (size_t first : {size_t{1}, size_t{63}, size_t{64}, size_t{1023}, size_t{1024}, size_t{1025},
                       size_t{4096}, kMiB - 1025, kMiB - 1024, kMiB - 1, kMiB, kMiB + 1,
                       kMiB + 1024, 3 * kMiB - 1, 3 * kMiB, 3 * kMiB + 512})
    expect_plain({first, 5 * kMiB});
}

// A call that does not begin at a chunk and ends at a MiB boundary leaves the last chunk full and
// open.
TEST_F(ParallelBlake3Test, AnOpenChunkAtAMebibyteBoundaryIsClosed) {
  expect_plain({1, kMiB - 1, 4 * kMiB});
  expect_plain({kMiB - 1, 1, 4 * kMiB});
  expect_plain({kMiB - 512, 512, 2 * kMiB});
  expect_plain({kMiB - 1024, 1024, 2 * kMiB, 2 * kMiB});
  expect_plain({1, 2 * kMiB - 1, 3 * kMiB, 1, kMiB - 1, 6 * kMiB + 7});
  expect_plain({3 * kMiB - 1, 1, 5 * kMiB - 1, 1, 4 * kMiB});
  expect_plain({1, kMiB - 1, 2 * kMiB});
  expect_plain({1, kMiB - 1, kMiB});
}

TEST_F(ParallelBlake3Test, EmptyCallsChangeNothing) {
  expect_plain({0, 0});
  expect_plain({0, 3 * kMiB, 0, 3 * kMiB, 0});
}

TEST_F(ParallelBlake3Test, EqualCallsOfOneMebibyteMultiplesEqualPlain) {
  for (size_t step : {kMiB, 2 * kMiB, 3 * kMiB, 5 * kMiB, 8 * kMiB}) {
    std::vector<size_t> pieces;
    for (size_t total = 0; total + step <= 30 * kMiB; total += step) pieces.push_back(step);
    expect_plain(pieces);
  }
}

TEST_F(ParallelBlake3Test, RandomSplitsEqualPlain) {
  std::mt19937 random(11);
  const size_t around[] = {1, 64, 1023, 1024, 1025, kMiB - 1, kMiB, kMiB + 1, 2 * kMiB, 3 * kMiB};
  for (int round = 0; round < 20; ++round) {
    std::vector<size_t> pieces;
    size_t total = 0;
    for (;;) {
      size_t piece = around[random() % std::size(around)];
      if (random() % 4 == 0) piece = random() % (3 * kMiB);
      if (total + piece > 20 * kMiB) break;
      pieces.push_back(piece);
      total += piece;
    }
    expect_plain(pieces);
  }
}

TEST_F(ParallelBlake3Test, MixesWithPlainCalls) {
  Blake3Hasher hasher;
  ByteView rest = sample();
  auto take = [&](size_t length) {
    ByteView front = rest.first(length);
    rest = rest.subspan(length);
    return front;
  };
  hasher.update(take(10));
  hasher.update_parallel(take(4 * kMiB - 10), pool_);
  hasher.update(take(3));
  hasher.update_parallel(take(6 * kMiB - 3), pool_);
  hasher.update(take(2 * kMiB));
  EXPECT_EQ(hasher.finish(), plain(12 * kMiB));
  hasher.update_parallel(take(4 * kMiB + 1), pool_);
  EXPECT_EQ(hasher.finish(), plain(16 * kMiB + 1));
}

TEST_F(ParallelBlake3Test, AFlippedBitInAnySubtreeChangesTheDigest) {
  std::vector<std::byte> bytes(sample().begin(), sample().begin() + 6 * kMiB);
  Digest before = blake3(bytes);
  for (size_t position : {size_t{0}, kMiB + 512 * 1024, 3 * kMiB - 1, 6 * kMiB - 1}) {
    bytes[position] ^= std::byte{1};
    Blake3Hasher hasher;
    hasher.update_parallel(bytes, pool_);
    EXPECT_NE(hasher.finish(), before) << position;
    bytes[position] ^= std::byte{1};
  }
}

}  // namespace
}  // namespace castore
