// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/uring_queue.h"

#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "fuse/abi.h"
#include "fuse/negotiate.h"

namespace castore::fuse_device {
namespace {

// As of Linux 6.14, in the kernel's <linux/fuse.h>.
constexpr size_t kHeaderBytes = 128;
struct EntryInOut {
  uint64_t flags;
  uint64_t commit_id;   // names the request in its answer
  uint32_t payload_sz;  // of a request what follows its first struct, of an answer its body
  uint32_t padding;
  uint64_t reserved;
};
struct EntryHeaders {
  std::array<std::byte, kHeaderBytes> in_out;  // InHeader, and the answer's OutHeader
  std::array<std::byte, kHeaderBytes> op_in;   // the first struct of the argument
  EntryInOut entry;
};
static_assert(sizeof(EntryHeaders) == 288);
struct CommandArgument {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t queue;
  std::array<uint8_t, 6> padding;
};
static_assert(sizeof(CommandArgument) == 24);
constexpr uint32_t kCommandRegister = 1;
constexpr uint32_t kCommandCommitAndFetch = 2;

// How many requests of one processor may be under way: its readers and their readahead.
constexpr unsigned kEntries = 8;
constexpr uint64_t kStopTag = UINT64_MAX;
constexpr size_t kPageBytes = 4096;

// Memory that is never touched costs nothing.
class Pages {
 public:
  explicit Pages(size_t bytes)
      : bytes_(bytes),
        start_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    CASTORE_CHECK(start_ != MAP_FAILED, "out of memory");
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(start_, bytes_); }

  std::byte* data() const { return static_cast<std::byte*>(start_); }

 private:
  size_t bytes_;
  void* start_;
};

// One place of the queue, and the sink of the request that is in it.
class Entry final : public fuse::ReplySink {
 public:
  Entry() : headers_(kPageBytes), payload_(fuse::kReadBytesMax) {}

  EntryHeaders& headers() { return *reinterpret_cast<EntryHeaders*>(headers_.data()); }
  MutableByteView payload() { return {payload_.data(), fuse::kReadBytesMax}; }
  std::array<iovec, 2>& vectors() { return vectors_; }

  // Puts the request together as it would come from /dev/fuse. Empty: it makes no sense.
  ByteView request(std::vector<std::byte>& buffer) {
    fuse::abi::InHeader header;
    std::memcpy(&header, headers().in_out.data(), sizeof header);
    const size_t payload_bytes = headers().entry.payload_sz;
    if (header.len < sizeof header + payload_bytes || payload_bytes > payload().size()) return {};
    const size_t first_bytes = header.len - sizeof header - payload_bytes;
    if (first_bytes > kHeaderBytes) return {};
    buffer.resize(header.len);
    std::memcpy(buffer.data(), &header, sizeof header);
    std::memcpy(buffer.data() + sizeof header, headers().op_in.data(), first_bytes);
    std::memcpy(buffer.data() + sizeof header + first_bytes, payload().data(), payload_bytes);
    unique_ = header.unique;
    sent_ = false;
    return buffer;
  }
  uint64_t unique() const { return unique_; }
  bool sent() const { return sent_; }

  size_t bytes_max() const override { return sizeof(fuse::abi::OutHeader) + fuse::kReadBytesMax; }

  bool send(std::span<const ByteView> pieces) override {
    std::memcpy(headers().in_out.data(), pieces[0].data(), sizeof(fuse::abi::OutHeader));
    size_t used = 0;
    for (ByteView piece : pieces.subspan(1)) {
      // What was read or listed is in its place already.
      if (piece.data() != payload().data() + used)
        std::memmove(payload().data() + used, piece.data(), piece.size());
      used += piece.size();
    }
    headers().entry.payload_sz = static_cast<uint32_t>(used);
    sent_ = true;
    return true;
  }

 private:
  Pages headers_;
  Pages payload_;
  std::array<iovec, 2> vectors_{};
  uint64_t unique_ = 0;
  bool sent_ = false;
};

// A ring of this thread, with the commands that FUSE knows.
class Ring {
 public:
  Ring() = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (made_) ::io_uring_queue_exit(&ring_);
  }

  Result<void> make() {
    io_uring_params params{};
    params.flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    // Each place, and the wait for the stop.
    int error = ::io_uring_queue_init_params(kEntries * 2, &ring_, &params);
    if (error < 0) return fail_errno(-error, "making an io_uring");
    made_ = true;
    return {};
  }

  void add_wait_for(int event) {
    io_uring_sqe* sqe = next();
    ::io_uring_prep_poll_add(sqe, event, POLLIN);
    ::io_uring_sqe_set_data64(sqe, kStopTag);
  }

  void add_command(int device, uint32_t command, uint64_t tag, const CommandArgument& argument,
                   std::array<iovec, 2>* vectors) {
    io_uring_sqe* sqe = next();
    ::io_uring_prep_rw(IORING_OP_URING_CMD, sqe, device, vectors, vectors != nullptr ? 2 : 0, 0);
    sqe->cmd_op = command;
    std::memcpy(sqe->cmd, &argument, sizeof argument);
    ::io_uring_sqe_set_data64(sqe, tag);
  }

  Result<void> submit() {
    int n = ::io_uring_submit(&ring_);
    if (n < 0 && n != -EINTR && n != -EAGAIN) return fail_errno(-n, "submitting to io_uring");
    return {};
  }

  Result<void> submit_and_wait() {
    int n = ::io_uring_submit_and_wait(&ring_, 1);
    if (n < 0 && n != -EINTR && n != -EAGAIN) return fail_errno(-n, "waiting for io_uring");
    return {};
  }

  struct Completion {
    uint64_t tag;
    int result;
  };
  std::optional<Completion> take() {
    io_uring_cqe* cqe = nullptr;
    if (::io_uring_peek_cqe(&ring_, &cqe) != 0) return std::nullopt;
    Completion completion{::io_uring_cqe_get_data64(cqe), cqe->res};
    ::io_uring_cqe_seen(&ring_, cqe);
    return completion;
  }
  bool has_more() const { return ::io_uring_cq_ready(&ring_) > 0; }

 private:
  io_uring_sqe* next() {
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
    CASTORE_CHECK(sqe != nullptr, "the ring has room for all there can be");
    // io_uring_prep functions write half of a large one.
    std::memset(sqe, 0, 128);
    return sqe;
  }

  io_uring ring_{};
  bool made_ = false;
};

void bind_to(uint16_t processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  // One that is offline, or not for this process, has its queue served from another.
  (void)::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

UringQueue::End UringQueue::run(fuse::Dispatcher& dispatcher,
                                const std::function<void(Result<void>)>& registered) {
  bind_to(processor_);
  // The ring goes first at the end: the kernel must not write to what is gone.
  std::vector<Entry> entries(kEntries);
  Ring ring;
  if (auto made = ring.make(); !made) {
    registered(std::move(made));
    return End::kFailed;
  }
  CommandArgument argument{};
  argument.queue = processor_;
  ring.add_wait_for(stop_event_);
  for (size_t i = 0; i < entries.size(); ++i) {
    Entry& entry = entries[i];
    entry.vectors() = {iovec{&entry.headers(), sizeof(EntryHeaders)},
                       iovec{entry.payload().data(), entry.payload().size()}};
    ring.add_command(device_->get(), kCommandRegister, i, argument, &entry.vectors());
  }
  if (auto submitted = ring.submit(); !submitted) {
    registered(std::move(submitted));
    return End::kFailed;
  }
  // What the kernel does not take it says at once.
  while (auto refused = ring.take()) {
    if (refused->tag == kStopTag || refused->result >= 0) continue;
    registered(fail_errno(-refused->result, "registering a queue of io_uring"));
    return End::kFailed;
  }
  registered({});

  std::vector<std::byte> request;
  size_t alive = entries.size();
  while (alive > 0) {
    if (auto waited = ring.submit_and_wait(); !waited) {
      spdlog::error("{}", waited.error().message());
      return End::kFailed;
    }
    while (auto completion = ring.take()) {
      if (completion->tag == kStopTag) return End::kStopped;
      if (completion->result < 0) {
        --alive;
        if (completion->result != -ENOTCONN && completion->result != -ECANCELED)
          spdlog::error("a FUSE request by io_uring: {}", std::strerror(-completion->result));
        continue;
      }
      Entry& entry = entries[completion->tag];
      ByteView bytes = entry.request(request);
      if (!bytes.empty()) dispatcher.handle(bytes, entry, entry.payload());
      // Each gets an answer, or its place would be lost.
      if (bytes.empty() || !entry.sent())
        fuse::Answer(entry, entry.unique()).error(fuse::Refusal::kMalformed);
      argument.commit_id = entry.headers().entry.commit_id;
      ring.add_command(device_->get(), kCommandCommitAndFetch, completion->tag, argument, nullptr);
      // Nobody's answer waits for another's request.
      if (ring.has_more())
        if (auto submitted = ring.submit(); !submitted) {
          spdlog::error("{}", submitted.error().message());
          return End::kFailed;
        }
    }
  }
  return End::kUnmounted;
}

Result<uint16_t> possible_processors() {
  constexpr const char* kPossible = "/sys/devices/system/cpu/possible";
  // A list of ranges, as "0-7"; what counts is the last number.
  std::string text = CASTORE_TRY(read_whole_file(kPossible, kPageBytes));
  size_t digits = text.find_last_not_of("\n");
  size_t start = text.find_last_not_of("0123456789", digits);
  start = start == std::string::npos ? 0 : start + 1;
  unsigned last = 0;
  if (std::sscanf(text.c_str() + start, "%u", &last) != 1 || last >= UINT16_MAX)
    return fail(ErrorKind::kUnsupported, "{} makes no sense: {}", kPossible, text);
  return static_cast<uint16_t>(last + 1);
}

}  // namespace castore::fuse_device
