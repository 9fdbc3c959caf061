// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/device_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "base/check.h"
#include "fuse/negotiate.h"

namespace castore::fuse_device {
namespace {

constexpr size_t kPageBytes = 4096;
// Requests are small but for long lists of nodes to forget, which the kernel makes as long as fits.
constexpr size_t kRequestBytesMax = fuse::kReadBytesMax + kPageBytes;
constexpr size_t kPiecesMax = 4;
// Makes a descriptor that was opened on /dev/fuse one more of the connection of another.
constexpr unsigned long kCloneConnection = _IOR(229, 0, uint32_t);

class DeviceSink final : public fuse::ReplySink {
 public:
  // `pipe` may be null.
  DeviceSink(std::shared_ptr<const UniqueFd> device, SplicePipe* pipe)
      : device_(std::move(device)), pipe_(pipe) {}

  // What the kernel has room for it says in each request.
  size_t bytes_max() const override { return kRequestBytesMax; }

  bool send(std::span<const ByteView> pieces) override {
    CASTORE_CHECK(pieces.size() <= kPiecesMax, "a reply has few pieces");
    std::array<iovec, kPiecesMax> vectors;
    for (size_t i = 0; i < pieces.size(); ++i)
      vectors[i] = {.iov_base = const_cast<std::byte*>(pieces[i].data()),
                    .iov_len = pieces[i].size()};
    ssize_t n;
    do {
      n = ::writev(device_->get(), vectors.data(), static_cast<int>(pieces.size()));
    } while (n < 0 && errno == EINTR);
    if (n >= 0) return true;
    report_loss(errno);
    return false;
  }

  std::optional<bool> send_file(ByteView header, const fs::FileRange& body) override {
    if (pipe_ == nullptr || !pipe_->fill(header, body)) return std::nullopt;
    const int error = pipe_->empty_into(device_->get());
    if (error != 0) report_loss(error);
    return error == 0;
  }

  // An answer has to go the way its request came.
  std::unique_ptr<fuse::ReplySink> keep() override {
    return std::make_unique<DeviceSink>(device_, nullptr);
  }

 private:
  // ENOENT: the asker was killed meanwhile. ENODEV: unmounted meanwhile.
  static void report_loss(int error) {
    if (error != ENOENT && error != ENODEV)
      spdlog::error("answering a FUSE request: {}", std::strerror(error));
  }

  std::shared_ptr<const UniqueFd> device_;
  SplicePipe* pipe_;
};

}  // namespace

DeviceLoop::DeviceLoop(UniqueFd device, UniqueFd poll, int stop_event)
    : device_(std::make_shared<const UniqueFd>(std::move(device))),
      poll_(std::move(poll)),
      stop_event_(stop_event),
      // Memory that is never touched costs nothing: an idle thread holds a few pages.
      request_(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kRequestBytesMax))),
      scratch_(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, fuse::kReadBytesMax))) {
  CASTORE_CHECK(request_ && scratch_, "out of memory");
}

Result<std::unique_ptr<DeviceLoop>> DeviceLoop::make(UniqueFd device, int stop_event) {
  UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return fail_errno(errno, "making an epoll descriptor");
  epoll_event on_request{.events = EPOLLIN | EPOLLEXCLUSIVE, .data = {.fd = device.get()}};
  epoll_event on_stop{.events = EPOLLIN, .data = {.fd = stop_event}};
  if (::epoll_ctl(poll.get(), EPOLL_CTL_ADD, device.get(), &on_request) != 0 ||
      ::epoll_ctl(poll.get(), EPOLL_CTL_ADD, stop_event, &on_stop) != 0)
    return fail_errno(errno, "watching /dev/fuse");
  return std::unique_ptr<DeviceLoop>(
      new DeviceLoop(std::move(device), std::move(poll), stop_event));
}

DeviceLoop::Step DeviceLoop::step(fuse::Dispatcher& dispatcher) {
  ssize_t n = ::read(device_->get(), request_.get(), kRequestBytesMax);
  if (n > 0) {
    DeviceSink sink(device_, &pipe_);
    dispatcher.handle({request_.get(), static_cast<size_t>(n)}, sink,
                      {scratch_.get(), fuse::kReadBytesMax});
    return Step::kServed;
  }
  if (n == 0) return Step::kUnmounted;  // cut off
  switch (errno) {
    case EAGAIN:
      return Step::kNothing;
    case EINTR:
    case ENOENT:  // the request was taken back while it was read
      return Step::kServed;
    case ENODEV:
    case ECONNABORTED:
      return Step::kUnmounted;
    default:
      spdlog::error("reading a FUSE request: {}", std::strerror(errno));
      return Step::kFailed;
  }
}

bool DeviceLoop::wait_for_request() {
  for (;;) {
    epoll_event event;
    int n = ::epoll_wait(poll_.get(), &event, 1, -1);
    if (n < 0 && errno == EINTR) continue;
    CASTORE_CHECK(n == 1, "waiting without a time limit ends with an event");
    return event.data.fd != stop_event_;
  }
}

DeviceLoop::End DeviceLoop::run(fuse::Dispatcher& dispatcher) {
  while (!cut_off_.load()) {
    switch (step(dispatcher)) {
      case Step::kServed:
        break;
      case Step::kNothing:
        if (!wait_for_request()) return End::kStopped;
        break;
      case Step::kUnmounted:
        return End::kUnmounted;
      case Step::kFailed:
        return End::kFailed;
    }
  }
  return End::kStopped;
}

Result<void> DeviceLoop::serve_init(fuse::Dispatcher& dispatcher,
                                    std::chrono::milliseconds timeout) {
  // A kernel of a newer major version asks twice.
  constexpr int kRequestsMax = 4;
  for (int i = 0; i < kRequestsMax && !dispatcher.session(); ++i) {
    pollfd ready{.fd = device_->get(), .events = POLLIN, .revents = 0};
    int n = ::poll(&ready, 1, static_cast<int>(timeout.count()));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) return fail(ErrorKind::kUnavailable, "the kernel did not greet");
    Step done = step(dispatcher);
    if (done == Step::kUnmounted || done == Step::kFailed) break;
  }
  if (!dispatcher.session())
    return fail(ErrorKind::kUnsupported,
                "the kernel does not speak FUSE {}.{} or later (Linux 5.4)", fuse::abi::kMajor,
                fuse::abi::kMinorMin);
  return {};
}

Result<UniqueFd> DeviceLoop::clone() const {
  UniqueFd copy(::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!copy) return fail_errno(errno, "opening /dev/fuse");
  auto original = static_cast<uint32_t>(device_->get());
  if (::ioctl(copy.get(), kCloneConnection, &original) != 0)
    return fail_errno(errno, "cloning a FUSE connection");
  return copy;
}

Result<UniqueFd> DeviceLoop::share() const {
  UniqueFd copy(::fcntl(device_->get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail_errno(errno, "copying the descriptor of /dev/fuse");
  return copy;
}

void DeviceLoop::cut_off(int nowhere) {
  cut_off_.store(true);
  // The number must not be closed, as another thread's file might get it while this loop still
  // writes its last reply there.
  ::dup3(nowhere, device_->get(), O_CLOEXEC);
}

}  // namespace castore::fuse_device
