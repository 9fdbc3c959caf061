// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/guest_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <limits>

#include "base/unique_fd.h"

namespace castore::virtiofs {
namespace {

constexpr uint64_t kPages = 4096;
constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

UniqueFd file_of(uint64_t bytes) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  return fd;
}

std::shared_ptr<const MemoryRegion> region(const RegionPlace& place) {
  auto mapped = MemoryRegion::map(place, file_of(place.file_offset + place.bytes).get());
  EXPECT_TRUE(mapped);
  return mapped ? *mapped : nullptr;
}

TEST(MemoryRegion, RefusesPlacesThatCannotBe) {
  UniqueFd fd = file_of(4 * kPages);
  for (const RegionPlace& place : {
           RegionPlace{0, 0, 0, 0},
           RegionPlace{kMost, kPages, 0, 0},
           RegionPlace{0, kPages, kMost - 1, 0},
           RegionPlace{0, kPages, 0, kMost},
           RegionPlace{0, 5 * kPages, 0, 0},
           RegionPlace{0, kPages, 0, 4 * kPages},
           RegionPlace{0, kMost, 0, 0},
       }) {
    auto mapped = MemoryRegion::map(place, fd.get());
    ASSERT_FALSE(mapped);
    EXPECT_EQ(mapped.error().kind(), ErrorKind::kInvalidArgument);
  }
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  EXPECT_FALSE(MemoryRegion::map({0, kPages, 0, 0}, reading.get()));
}

TEST(MemoryRegion, BeginsAtAnyOffsetOfItsFile) {
  UniqueFd fd = file_of(2 * kPages);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 100), 1);
  auto mapped = MemoryRegion::map({0, kPages, 0, 100}, fd.get());
  ASSERT_TRUE(mapped);
  EXPECT_EQ(*(*mapped)->bytes(), std::byte{'x'});
}

TEST(MemoryRegion, IsZerosAndLostWhenItsFileWasCutShort) {
  UniqueFd fd = file_of(2 * kPages);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, kPages), 1);
  auto mapped = *MemoryRegion::map({0, 2 * kPages, 0, 0}, fd.get());
  EXPECT_FALSE(mapped->lost());
  ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
  const std::byte seen = *static_cast<volatile std::byte*>(mapped->bytes() + kPages);
  EXPECT_EQ(seen, std::byte{0});
  EXPECT_TRUE(mapped->lost());
}

TEST(GuestMemory, RefusesRegionsThatOverlap) {
  auto first = region({0, 2 * kPages, 0x10000, 0});
  EXPECT_FALSE(GuestMemory::of({first, region({kPages, kPages, 0x80000, 0})}));
  EXPECT_FALSE(GuestMemory::of({first, region({0x80000, kPages, 0x10000 + kPages, 0})}));
  EXPECT_TRUE(GuestMemory::of({first, region({2 * kPages, kPages, 0x80000, 0})}));
}

TEST(GuestMemory, FindsWhatLiesInOneRegion) {
  auto memory = *GuestMemory::of(
      {region({2 * kPages, kPages, 0x80000, 0}), region({0, 2 * kPages, 0x10000, 0})});
  EXPECT_EQ(memory->bytes(), 3 * kPages);
  EXPECT_EQ(memory->at_guest(0, 10).size(), 10u);
  EXPECT_EQ(memory->at_guest(kPages, 10 * kPages).size(), kPages) << "the rest is elsewhere";
  EXPECT_TRUE(memory->at_guest(3 * kPages, 1).empty());
  EXPECT_TRUE(memory->at_guest(kMost, kMost).empty());
  EXPECT_TRUE(memory->at_user(0x10000, 2 * kPages));
  EXPECT_FALSE(memory->at_user(0x10000, 2 * kPages + 1));
  EXPECT_FALSE(memory->at_user(0x10001, kMost));
  EXPECT_FALSE(memory->at_user(0xffff, 1));
}

}  // namespace
}  // namespace castore::virtiofs
