// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Whatever a guest has in its memory, its queue is served or found broken, each request that is
// served is given back once, and the device writes to nothing but the used ring and the buffers
// that the request's chain has for it to write to. No threads, so that an input does the same each
// time: a worker's own are in the tests of src/virtiofs/.
//
// An input is a head (flags, size, base, and where the three parts of the ring are), and records of
// two bytes address, two bytes length (little endian) and the bytes the guest writes there. The
// address 0xffff is a kick instead, and has no bytes. One more kick follows the last record.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/unique_fd.h"
#include "shown_filesystem.h"
#include "virtiofs/guest_filesystem.h"
#include "virtiofs/guest_memory.h"
#include "virtiofs/live_ring.h"
#include "virtiofs/ring_abi.h"
#include "virtiofs/ring_server.h"
#include "virtiofs/split_ring.h"

namespace castore::virtiofs {
namespace {

constexpr uint8_t kEventIndex = 1;
constexpr uint8_t kIndirect = 2;
constexpr uint8_t kFilesystem = 4;  // else each request's first byte says how it is answered
constexpr uint8_t kEndsEarly = 8;   // answers that were kept come after the queue's end

constexpr uint16_t kKick = 0xffff;
constexpr int kRequestsMax = 16;

// Two regions that adjoin for the guest, and lie apart everywhere else. What is around them in the
// file is not the guest's.
constexpr RegionPlace kLow{.guest_address = 0x10000,
                           .bytes = 0x8000,
                           .user_address = 0x7000'0000'0000,
                           .file_offset = 0x6000};
constexpr RegionPlace kHigh{.guest_address = 0x18000,
                            .bytes = 0x4000,
                            .user_address = 0x5000'0000'0000,
                            .file_offset = 0x1000};
constexpr size_t kFileBytes = 0xf000;
constexpr size_t kChunkBytes = 256;
static_assert(kFileBytes % kChunkBytes == 0);

struct Range {
  size_t begin = 0;
  size_t end = 0;
  bool meets(const Range& other) const { return begin < other.end && other.begin < end; }
};

// The memory as the guest has it, in the order of its file.
struct Memory {
  MutableByteView bytes;
  std::shared_ptr<const GuestMemory> shared;  // the device's
};

const Memory& guest_memory() {
  static const Memory made = [] {
    UniqueFd fd(::memfd_create("fuzz-guest", MFD_CLOEXEC));
    CASTORE_CHECK(fd && ::ftruncate(fd.get(), kFileBytes) == 0, "there is memory");
    void* mapping = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    CASTORE_CHECK(mapping != MAP_FAILED, "memory can be mapped");
    auto low = MemoryRegion::map(kLow, fd.get());
    auto high = MemoryRegion::map(kHigh, fd.get());
    CASTORE_CHECK(low && high, "the regions are valid");
    auto shared = GuestMemory::of({*low, *high});
    CASTORE_CHECK(shared, "the memory is valid");
    return Memory{.bytes = {static_cast<std::byte*>(mapping), kFileBytes}, .shared = *shared};
  }();
  return made;
}

// What of a range in a region's addresses is there, as a range of the file.
Range clip(const RegionPlace& region, uint64_t address, uint64_t bytes) {
  const uint64_t end = address > ~uint64_t{0} - bytes ? ~uint64_t{0} : address + bytes;
  const uint64_t from = std::max(address, region.guest_address);
  const uint64_t to = std::min(end, region.guest_address + region.bytes);
  if (from >= to) return {};
  return {region.file_offset + (from - region.guest_address),
          region.file_offset + (to - region.guest_address)};
}

// One that has to be there in one piece.
std::optional<Range> whole(uint64_t address, size_t bytes) {
  for (const RegionPlace& region : {kLow, kHigh})
    if (Range found = clip(region, address, bytes); found.end - found.begin == bytes && bytes > 0)
      return found;
  return std::nullopt;
}

template <typename T>
T number_at(ByteView bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// What a chain names, as the guest means it; it need not make sense.
struct Named {
  std::vector<bool> writable = std::vector<bool>(kFileBytes);
  uint64_t writable_bytes = 0;
  bool writes_used = false;
  bool reads_used = false;  // from where the device writes before it reads
};

struct Layout {
  uint16_t size = 0;
  bool indirect = false;
  Range descriptors;
  Range available;
  Range used;
};

void name_buffer(const abi::Descriptor& descriptor, const Layout& layout, Named& named) {
  named.writable_bytes += descriptor.bytes;
  for (const RegionPlace& region : {kLow, kHigh}) {
    const Range range = clip(region, descriptor.address, descriptor.bytes);
    std::fill(named.writable.begin() + static_cast<ptrdiff_t>(range.begin),
              named.writable.begin() + static_cast<ptrdiff_t>(range.end), true);
    named.writes_used = named.writes_used || range.meets(layout.used);
  }
}

Named name_chain(ByteView memory, const Layout& layout, uint16_t head) {
  Named named;
  Range table = layout.descriptors;
  size_t index = head;
  for (int count = 0; count < 1100; ++count) {
    const size_t at = table.begin + index * sizeof(abi::Descriptor);
    if (at + sizeof(abi::Descriptor) > table.end) break;
    const auto descriptor = number_at<abi::Descriptor>(memory, at);
    if ((descriptor.flags & abi::kDescIndirect) != 0) {
      auto own = whole(descriptor.address, descriptor.bytes);
      if (!layout.indirect || !own) break;
      table = *own;
      index = 0;
      named.reads_used = named.reads_used || table.meets(layout.used);
      continue;
    }
    if ((descriptor.flags & abi::kDescWrite) != 0) name_buffer(descriptor, layout, named);
    if ((descriptor.flags & abi::kDescNext) == 0) break;
    index = descriptor.next;
  }
  return named;
}

// For a dispatcher that is to answer at once.
class AtOnce final : public fuse::ReplySink {
 public:
  explicit AtOnce(fuse::ReplySink& sink) : sink_(sink) {}
  size_t bytes_max() const override { return sink_.bytes_max(); }
  bool send(std::span<const ByteView> pieces) override { return sink_.send(pieces); }

 private:
  fuse::ReplySink& sink_;
};

bool answer(fuse::ReplySink& sink) {
  static const std::vector<std::byte> filling(5000, std::byte{0xee});
  const size_t bytes = std::min(filling.size(), sink.bytes_max());
  const ByteView all = ByteView(filling).first(bytes);
  const std::array pieces{all.first(bytes / 3), all.subspan(bytes / 3)};
  return sink.send(pieces);
}

// Serves one request, and then wants the ring left alone.
class Server final : public RequestServer {
 public:
  explicit Server(bool with_filesystem) {
    if (with_filesystem) filesystem_.emplace(fuzz::shown_filesystem, DeviceOptions());
  }

  void serve(ByteView request, fuse::ReplySink& sink, MutableByteView scratch) override {
    stopping.store(true);
    if (filesystem_) {
      AtOnce at_once(sink);
      filesystem_->serve(request, at_once, scratch);
      return;
    }
    const auto way = request.empty() ? uint8_t{0} : std::to_integer<uint8_t>(request.front());
    if (way % 4 == 1)
      kept.push_back(sink.keep());
    else if (way % 4 != 2)
      CASTORE_CHECK(answer(sink), "a started queue takes answers");
  }
  void interrupt(uint64_t /*unique*/) override {}
  void queue_failed(Error /*error*/) override {}

  std::atomic<bool> stopping = false;
  std::vector<std::unique_ptr<fuse::ReplySink>> kept;

 private:
  std::optional<GuestFilesystem> filesystem_;
};

class Queue {
 public:
  // Nothing: there is no such queue.
  static std::unique_ptr<Queue> make(ByteView head) {
    const auto flags = number_at<uint8_t>(head, 0);
    std::unique_ptr<Queue> queue(new Queue(flags));
    queue->layout_.size = static_cast<uint16_t>(1 << (number_at<uint8_t>(head, 1) % 11));
    queue->layout_.indirect = (flags & kIndirect) != 0;
    queue->next_ = number_at<uint16_t>(head, 2);
    const size_t size = queue->layout_.size;
    RingPlace place;
    auto part = [&](size_t at, size_t bytes, uint64_t& user_address) {
      const uint64_t offset = number_at<uint16_t>(head, at);
      const RegionPlace& region = offset < kLow.bytes ? kLow : kHigh;
      user_address = region.user_address + offset - (offset < kLow.bytes ? 0 : kLow.bytes);
      return whole(kLow.guest_address + offset, bytes).value_or(Range());
    };
    queue->layout_.descriptors = part(4, abi::descriptors_bytes(size), place.descriptors);
    queue->layout_.available = part(6, abi::available_bytes(size), place.available);
    queue->layout_.used = part(8, abi::used_bytes(size), place.used);
    auto ring = SplitRing::make({.size = queue->layout_.size,
                                 .event_index = (flags & kEventIndex) != 0,
                                 .next = queue->next_},
                                place, guest_memory().shared);
    if (!ring) return nullptr;
    queue->ring_->start(std::move(*ring));
    queue->given_back_ = queue->used_index();
    return queue;
  }
  static constexpr size_t kHeadBytes = 10;

  void kick() {
    while (requests_ < kRequestsMax && serve_one()) {
    }
  }

  void end() {
    const std::vector<std::byte> before = copy();
    const bool too_late = ends_early_ || is_broken_;
    if (too_late) ring_->end();
    for (auto& sink : server_->kept)
      CASTORE_CHECK(answer(*sink) != too_late, "an answer is written while the queue is there");
    if (too_late) kept_.assign(kFileBytes, false);
    if (too_late || !kept_reads_used_) expect_written(before, kept_, !too_late);
    CASTORE_CHECK(ring_->wait_until_answered(std::chrono::milliseconds(0)), "all is answered");
  }

 private:
  explicit Queue(uint8_t flags)
      : server_(std::make_shared<Server>((flags & kFilesystem) != 0)),
        ring_server_(server_, ring_, (flags & kIndirect) != 0),
        ends_early_((flags & kEndsEarly) != 0) {}

  static std::vector<std::byte> copy() {
    const ByteView bytes = guest_memory().bytes;
    return {bytes.begin(), bytes.end()};
  }
  uint16_t used_index() const {
    return number_at<uint16_t>(guest_memory().bytes, layout_.used.begin + abi::kRingIndexOffset);
  }

  // False: no more is available, or the queue is broken.
  bool serve_one() {
    if (is_broken_) return false;
    const std::vector<std::byte> before = copy();
    const size_t place = layout_.available.begin + abi::kRingHeadBytes + 2 * (next_ % layout_.size);
    const auto head = number_at<uint16_t>(before, place);
    Named named = name_chain(before, layout_, head);
    const bool can_tell = !named.reads_used && !layout_.used.meets(layout_.available) &&
                          !layout_.used.meets(layout_.descriptors);
    const size_t kept_before = server_->kept.size();
    server_->stopping.store(false);
    is_broken_ = !ring_server_.serve_available(server_->stopping);
    const bool was_served = server_->stopping.load();
    const bool was_kept = server_->kept.size() > kept_before;
    if (!was_served || was_kept) {
      if (was_kept) keep(named, can_tell);
      named.writable.assign(kFileBytes, false);
    }
    if (can_tell) expect_written(before, named.writable, true);
    if (!was_served) return false;
    ++requests_;
    ++next_;
    if (!was_kept) {
      ++given_back_;
      if (can_tell && !named.writes_used) expect_given_back(head, named.writable_bytes);
    }
    return true;
  }

  void keep(const Named& named, bool can_tell) {
    for (size_t i = 0; i < kFileBytes; ++i) kept_[i] = kept_[i] || named.writable[i];
    kept_reads_used_ = kept_reads_used_ || !can_tell;
  }

  void expect_written(const std::vector<std::byte>& before, const std::vector<bool>& writable,
                      bool ring) const {
    const ByteView after = guest_memory().bytes;
    // Most of the memory is not written to, and so compared in one go.
    for (size_t chunk = 0; chunk < kFileBytes; chunk += kChunkBytes) {
      if (std::memcmp(&before[chunk], &after[chunk], kChunkBytes) == 0) continue;
      for (size_t i = chunk; i < chunk + kChunkBytes; ++i) {
        if (before[i] == after[i] || writable[i]) continue;
        CASTORE_CHECK(ring && layout_.used.meets({i, i + 1}),
                      "the device writes where it was told to");
      }
    }
  }

  void expect_given_back(uint16_t head, uint64_t room) const {
    CASTORE_CHECK(used_index() == given_back_, "a request is given back once");
    const auto last = static_cast<uint16_t>(given_back_ - 1);
    const auto entry = number_at<abi::UsedEntry>(
        guest_memory().bytes,
        layout_.used.begin + abi::kRingHeadBytes + sizeof(abi::UsedEntry) * (last % layout_.size));
    CASTORE_CHECK(entry.head == head, "what is given back is what was taken");
    CASTORE_CHECK(entry.bytes <= room, "no more is written than there is room");
  }

  Layout layout_;
  std::shared_ptr<LiveRing> ring_ = std::make_shared<LiveRing>();
  std::shared_ptr<Server> server_;
  RingServer ring_server_;
  bool ends_early_;
  bool is_broken_ = false;
  int requests_ = 0;
  uint16_t next_ = 0;
  uint16_t given_back_ = 0;
  std::vector<bool> kept_ = std::vector<bool>(kFileBytes);
  bool kept_reads_used_ = false;
};

void play(ByteView input) {
  const MutableByteView memory = guest_memory().bytes;
  std::memset(memory.data(), 0, memory.size());
  if (input.size() < Queue::kHeadBytes) return;
  std::unique_ptr<Queue> queue;
  const ByteView head = input.first(Queue::kHeadBytes);
  input = input.subspan(Queue::kHeadBytes);
  auto kick = [&] {
    if (!queue) queue = Queue::make(head);
    if (queue) queue->kick();
    return queue != nullptr;
  };
  while (input.size() >= 4) {
    const auto address = number_at<uint16_t>(input, 0);
    const size_t length = std::min<size_t>(number_at<uint16_t>(input, 2), input.size() - 4);
    if (address == kKick) {
      input = input.subspan(4);
      if (!kick()) return;
      continue;
    }
    if (auto there = whole(kLow.guest_address + address, length))
      std::memcpy(memory.data() + there->begin, input.data() + 4, length);
    input = input.subspan(4 + length);
  }
  if (!kick()) return;
  queue->end();
}

}  // namespace
}  // namespace castore::virtiofs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  castore::virtiofs::play(std::as_bytes(std::span(data, size)));
  return 0;
}
