// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/guest_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/file.h"

namespace castore::virtiofs {
namespace {

constexpr uint64_t kAlignmentMax = uint64_t{1} << 30;  // the largest huge page

bool ends_beyond(uint64_t begin, uint64_t bytes) {
  return begin > std::numeric_limits<uint64_t>::max() - bytes;
}

// What a mapping has to begin and end at: the page size, and on hugetlbfs the huge page's, which it
// gives as its block size. Other filesystems' block sizes do no harm here.
uint64_t alignment_for(const struct stat& status) {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto block = static_cast<uint64_t>(status.st_blksize);
  return std::has_single_bit(block) && block > page && block <= kAlignmentMax ? block : page;
}

template <typename Begin>
bool overlap(const GuestMemory::Regions& sorted, Begin begin) {
  for (size_t i = 1; i < sorted.size(); ++i)
    if (begin(sorted[i]) - begin(sorted[i - 1]) < sorted[i - 1]->place().bytes) return true;
  return false;
}

uint64_t guest_begin(const std::shared_ptr<const MemoryRegion>& region) {
  return region->place().guest_address;
}
uint64_t user_begin(const std::shared_ptr<const MemoryRegion>& region) {
  return region->place().user_address;
}

template <typename Begin>
void sort_by(GuestMemory::Regions& regions, Begin begin) {
  std::sort(regions.begin(), regions.end(),
            [&](const auto& a, const auto& b) { return begin(a) < begin(b); });
}

}  // namespace

Result<std::shared_ptr<const MemoryRegion>> MemoryRegion::map(const RegionPlace& place, int fd) {
  if (place.bytes == 0 || place.bytes > kGuestBytesMax ||
      ends_beyond(place.guest_address, place.bytes) ||
      ends_beyond(place.user_address, place.bytes) || ends_beyond(place.file_offset, place.bytes))
    return fail(ErrorKind::kInvalidArgument, "a memory region of {} bytes at {:#x} cannot be",
                place.bytes, place.guest_address);
  const struct stat status = CASTORE_TRY(stat_fd(fd, "guest memory"));
  if (!S_ISREG(status.st_mode))
    return fail(ErrorKind::kUnsupported,
                "guest memory is not a shared file; give the machine a shared memory backend");
  if (place.file_offset + place.bytes > static_cast<uint64_t>(status.st_size))
    return fail(ErrorKind::kInvalidArgument,
                "a memory region of {} bytes at {:#x} is longer than its file", place.bytes,
                place.guest_address);

  const uint64_t alignment = alignment_for(status);
  const uint64_t begin = place.file_offset / alignment * alignment;
  const uint64_t head = place.file_offset - begin;
  const uint64_t bytes = (head + place.bytes + alignment - 1) / alignment * alignment;
  void* mapping = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                         static_cast<off_t>(begin));
  if (mapping == MAP_FAILED)
    return fail_errno(errno, "mapping {} bytes of guest memory", place.bytes);
  // Secrets of guests are nobody's business in a core file.
  ::madvise(mapping, bytes, MADV_DONTDUMP);
  return std::shared_ptr<const MemoryRegion>(
      new MemoryRegion(place, mapping, bytes, static_cast<std::byte*>(mapping) + head));
}

MemoryRegion::MemoryRegion(const RegionPlace& place, void* mapping, size_t mapping_bytes,
                           std::byte* bytes)
    : place_(place), mapping_(mapping), mapping_bytes_(mapping_bytes), bytes_(bytes) {
  guard_.emplace(mapping, mapping_bytes);
}

MemoryRegion::~MemoryRegion() {
  guard_.reset();
  ::munmap(mapping_, mapping_bytes_);
}

Result<std::shared_ptr<const GuestMemory>> GuestMemory::of(Regions regions) {
  if (regions.size() > kRegionsMax)
    return fail(ErrorKind::kExhausted, "a guest may have {} memory regions", kRegionsMax);
  sort_by(regions, user_begin);
  bool overlaps = overlap(regions, user_begin);
  sort_by(regions, guest_begin);
  overlaps = overlaps || overlap(regions, guest_begin);
  if (overlaps) return fail(ErrorKind::kInvalidArgument, "memory regions overlap");
  std::shared_ptr<const GuestMemory> memory(new GuestMemory(std::move(regions)));
  if (memory->bytes() > kGuestBytesMax)
    return fail(ErrorKind::kExhausted, "a guest may have {} bytes of memory", kGuestBytesMax);
  return memory;
}

GuestMemory::GuestMemory(Regions by_guest) : by_guest_(std::move(by_guest)) {
  for (const auto& region : by_guest_) bytes_ += region->place().bytes;
}

bool GuestMemory::lost() const {
  return std::any_of(by_guest_.begin(), by_guest_.end(),
                     [](const auto& region) { return region->lost(); });
}

MutableByteView GuestMemory::at_guest(uint64_t address, uint64_t bytes) const {
  auto after = std::upper_bound(
      by_guest_.begin(), by_guest_.end(), address,
      [](uint64_t value, const auto& region) { return value < region->place().guest_address; });
  if (after == by_guest_.begin()) return {};
  const MemoryRegion& region = **std::prev(after);
  const uint64_t offset = address - region.place().guest_address;
  if (offset >= region.place().bytes) return {};
  return {region.bytes() + offset, std::min(bytes, region.place().bytes - offset)};
}

std::optional<MutableByteView> GuestMemory::at_user(uint64_t address, uint64_t bytes) const {
  for (const auto& region : by_guest_) {
    const RegionPlace& place = region->place();
    if (address < place.user_address || address - place.user_address >= place.bytes) continue;
    const uint64_t offset = address - place.user_address;
    if (bytes > place.bytes - offset) return std::nullopt;
    return MutableByteView(region->bytes() + offset, bytes);
  }
  return std::nullopt;
}

}  // namespace castore::virtiofs
