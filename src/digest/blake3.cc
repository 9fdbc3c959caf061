// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Problem: the library hashes a stream on one core; a 100 GiB file deserves all of them.
//
// Idea: BLAKE3 is a binary tree over 1 KiB chunks, and a chunk's input to the tree depends only on
// its bytes and its number. An aligned 1 MiB subtree can therefore be hashed alone, by a second
// hasher whose chunk counter starts at the subtree's first chunk. After exactly 1 MiB that hasher
// holds the chaining values of the subtree's two halves. Pushing them onto the main hasher's stack,
// merging as the library itself does, leaves the main hasher as if it had read the bytes. Only
// public fields of the library's struct are used.
//
// Cost: one parent compression per merge, which is nothing beside the 1024 chunks below it.
#include "digest/blake3.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <latch>
#include <vector>

#include "base/check.h"

namespace castore {
namespace {

constexpr size_t kChunkBytes = 1024;
constexpr size_t kSubtreeBytes = size_t{1} << 20;
constexpr uint64_t kSubtreeChunks = kSubtreeBytes / kChunkBytes;

// BLAKE3 paper, section 2.2: the compression function in its parent-node use.
constexpr uint32_t kIv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                             0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
constexpr uint32_t kParentFlag = 1u << 2;
constexpr int kPermutation[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};

void mix(uint32_t* v, int a, int b, int c, int d, uint32_t x, uint32_t y) {
  v[a] += v[b] + x;
  v[d] = std::rotr(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 12);
  v[a] += v[b] + y;
  v[d] = std::rotr(v[d] ^ v[a], 8);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 7);
}

// The chaining value of the parent of two neighbours whose values stand one after the other in
// `children` (64 bytes). Written to `out` (32 bytes), which may be the same memory.
void compress_parent(const uint8_t* children, uint8_t* out) {
  static_assert(std::endian::native == std::endian::little,
                "words are copied as they stand; a big-endian port must swap them");
  uint32_t m[16];
  std::memcpy(m, children, sizeof m);
  uint32_t v[16];
  std::copy(kIv, kIv + 8, v);
  std::copy(kIv, kIv + 4, v + 8);
  v[12] = v[13] = 0;
  v[14] = 64;
  v[15] = kParentFlag;
  for (int round = 0; round < 7; ++round) {
    mix(v, 0, 4, 8, 12, m[0], m[1]);
    mix(v, 1, 5, 9, 13, m[2], m[3]);
    mix(v, 2, 6, 10, 14, m[4], m[5]);
    mix(v, 3, 7, 11, 15, m[6], m[7]);
    mix(v, 0, 5, 10, 15, m[8], m[9]);
    mix(v, 1, 6, 11, 12, m[10], m[11]);
    mix(v, 2, 7, 8, 13, m[12], m[13]);
    mix(v, 3, 4, 9, 14, m[14], m[15]);
    uint32_t permuted[16];
    for (int i = 0; i < 16; ++i) permuted[i] = m[kPermutation[i]];
    std::copy(permuted, permuted + 16, m);
  }
  for (int i = 0; i < 8; ++i) v[i] ^= v[i + 8];
  std::memcpy(out, v, 32);
}

// The library finds out what the CPU can do on first use, without synchronisation; the first use
// is therefore here, once, before there can be two.
void detect_cpu_features() {
  static const bool detected = [] {
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    uint8_t byte = 0;
    uint8_t out[32];
    blake3_hasher_update(&hasher, &byte, 1);
    blake3_hasher_finalize(&hasher, out, sizeof out);
    return true;
  }();
  (void)detected;
}

}  // namespace

// The chaining values of a subtree's halves.
struct Blake3Hasher::Subtree {
  uint8_t halves[64];

  void hash(const std::byte* bytes, uint64_t first_chunk) {
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    hasher.chunk.chunk_counter = first_chunk;
    blake3_hasher_update(&hasher, bytes, kSubtreeBytes);
    CASTORE_CHECK(hasher.cv_stack_len == 2, "the BLAKE3 library keeps its stack in another way");
    std::memcpy(halves, hasher.cv_stack, sizeof halves);
  }
};

Blake3Hasher::Blake3Hasher() {
  detect_cpu_features();
  blake3_hasher_init(&state_);
}

void Blake3Hasher::update(ByteView bytes) {
  blake3_hasher_update(&state_, bytes.data(), bytes.size());
  bytes_hashed_ += bytes.size();
}

void Blake3Hasher::push_chaining_value(const uint8_t* value, uint64_t chunk_counter) {
  auto complete = static_cast<unsigned>(std::popcount(chunk_counter));
  while (state_.cv_stack_len > complete) {
    uint8_t* top_two = &state_.cv_stack[(state_.cv_stack_len - 2u) * 32u];
    compress_parent(top_two, top_two);
    state_.cv_stack_len = static_cast<uint8_t>(state_.cv_stack_len - 1);
  }
  std::memcpy(&state_.cv_stack[state_.cv_stack_len * 32u], value, 32);
  state_.cv_stack_len = static_cast<uint8_t>(state_.cv_stack_len + 1);
}

void Blake3Hasher::update_parallel(ByteView bytes, ThreadPool& pool) {
  size_t to_boundary = (kSubtreeBytes - bytes_hashed_ % kSubtreeBytes) % kSubtreeBytes;
  size_t subtree_count =
      bytes.size() > to_boundary ? (bytes.size() - to_boundary) / kSubtreeBytes : 0;
  if (subtree_count < 2) return update(bytes);
  update(bytes.first(to_boundary));
  bytes = bytes.subspan(to_boundary);

  // A chunk that is exactly full stays open in the library until more input comes. The next
  // subtree given to the library in one piece closes it and leaves nothing open.
  if (state_.chunk.buf_len + state_.chunk.blocks_compressed * size_t{64} > 0) {
    update(bytes.first(kSubtreeBytes));
    return update_parallel(bytes.subspan(kSubtreeBytes), pool);
  }

  std::vector<Subtree> subtrees(subtree_count);
  const uint64_t first_chunk = bytes_hashed_ / kChunkBytes;
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < subtree_count;)
      subtrees[i].hash(bytes.data() + i * kSubtreeBytes, first_chunk + i * kSubtreeChunks);
  };
  size_t helper_count = std::min(pool.thread_count(), subtree_count - 1);
  std::latch done(static_cast<std::ptrdiff_t>(helper_count));
  for (size_t i = 0; i < helper_count; ++i)
    pool.submit([&] {
      work();
      done.count_down();
    });
  work();
  done.wait();

  for (size_t i = 0; i < subtree_count; ++i) {
    uint64_t chunk = first_chunk + i * kSubtreeChunks;
    push_chaining_value(subtrees[i].halves, chunk);
    push_chaining_value(subtrees[i].halves + 32, chunk + kSubtreeChunks / 2);
  }
  bytes_hashed_ += subtree_count * kSubtreeBytes;
  state_.chunk.chunk_counter = bytes_hashed_ / kChunkBytes;
  update(bytes.subspan(subtree_count * kSubtreeBytes));
}

Digest Blake3Hasher::finish() const {
  std::array<std::byte, Digest::kBytes> out;
  blake3_hasher_finalize(&state_, reinterpret_cast<uint8_t*>(out.data()), out.size());
  return Digest(out);
}

Digest blake3(ByteView bytes) {
  Blake3Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace castore
