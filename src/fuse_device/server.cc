// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "base/guarded.h"
#include "fuse/dispatcher.h"
#include "fuse_device/device_loop.h"

namespace castore::fuse_device {
namespace {

constexpr std::chrono::seconds kGreetingTimeout{10};

// While it lives the calling thread, and threads it starts for good, take no signals but those that
// tell of their own faults.
class SignalsHeldBack {
 public:
  SignalsHeldBack() {
    sigset_t all;
    ::sigfillset(&all);
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
      ::sigdelset(&all, fault);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsHeldBack(const SignalsHeldBack&) = delete;
  SignalsHeldBack& operator=(const SignalsHeldBack&) = delete;
  ~SignalsHeldBack() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

struct FuseServer::Connection {
  struct Progress {
    size_t threads_running = 0;
    bool stop_requested = false;
    bool failed = false;  // a thread met an error that is not an unmount
    bool mount_ended = false;
  };

  explicit Connection(std::shared_ptr<fs::Filesystem> shown)
      : filesystem(std::move(shown)), dispatcher(*filesystem) {}

  std::shared_ptr<fs::Filesystem> filesystem;
  fuse::Dispatcher dispatcher;
  UniqueFd stop_event;
  UniqueFd nowhere;
  std::vector<std::unique_ptr<DeviceLoop>> loops;
  std::string mount_point;
  std::string number;
  fuse::Session session;
  bool cloned = true;
  std::chrono::milliseconds stop_grace{};
  Guarded<Progress> progress;
  std::condition_variable progressed;

  Result<void> open_loops(UniqueFd device, size_t count);
  void serve(DeviceLoop& loop);
};

Result<void> FuseServer::Connection::open_loops(UniqueFd device, size_t count) {
  nowhere = CASTORE_TRY(open_file("/dev/null", O_RDWR));
  stop_event = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_event) return fail_errno(errno, "making an event descriptor");
  loops.push_back(CASTORE_TRY(DeviceLoop::make(std::move(device), stop_event.get())));
  DeviceLoop& first = *loops.front();
  CASTORE_TRY(first.serve_init(dispatcher, kGreetingTimeout));
  session = *dispatcher.session();
  while (loops.size() < count) {
    auto next = cloned ? first.clone() : first.share();
    if (!next && cloned) {
      spdlog::debug("FUSE threads share one descriptor: {}", next.error().message());
      cloned = false;
      continue;
    }
    loops.push_back(CASTORE_TRY(DeviceLoop::make(CASTORE_TRY(std::move(next)), stop_event.get())));
  }
  return {};
}

void FuseServer::Connection::serve(DeviceLoop& loop) {
  ::pthread_setname_np(::pthread_self(), "castore-fuse");
  DeviceLoop::End end = loop.run(dispatcher);
  {
    auto state = progress.lock();
    --state->threads_running;
    if (end == DeviceLoop::End::kFailed) state->failed = true;
  }
  progressed.notify_all();
}

Result<std::unique_ptr<FuseServer>> FuseServer::start(std::shared_ptr<fs::Filesystem> filesystem,
                                                      const ServerOptions& options) {
  CASTORE_CHECK(options.thread_count > 0, "a mount needs a thread");
  auto connection = std::make_shared<Connection>(std::move(filesystem));
  connection->stop_grace = options.stop_grace;
  Mounted mounted = CASTORE_TRY(mount(options.mount));
  connection->mount_point = mounted.mount_point;
  connection->number = mounted.number;

  // From here on the destructor unmounts.
  std::unique_ptr<FuseServer> server(new FuseServer(connection));
  CASTORE_TRY_WHILE(connection->open_loops(std::move(mounted.device), options.thread_count),
                    "mounting on {}", mounted.mount_point);
  SignalsHeldBack held_back;
  for (auto& loop : connection->loops) {
    ++connection->progress.lock()->threads_running;
    server->threads_.emplace_back([connection, &loop = *loop] { connection->serve(loop); });
  }
  return server;
}

FuseServer::FuseServer(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)) {}

FuseServer::~FuseServer() {
  if (!connection_->progress.lock()->mount_ended) {
    request_stop();
    if (auto ended = wait(); !ended) spdlog::error("{}", ended.error().message());
  }
  for (std::thread& thread : threads_) thread.detach();
}

void FuseServer::request_stop() {
  connection_->progress.lock()->stop_requested = true;
  connection_->progressed.notify_all();
}

Result<void> FuseServer::wait() {
  bool must_end = false;
  {
    auto state = connection_->progress.lock();
    state.wait(connection_->progressed,
               [&] { return state->stop_requested || state->threads_running == 0; });
    // Threads that ended by themselves say that the kernel has nothing mounted any more.
    if (state->threads_running == 0 && !threads_.empty() && !state->failed)
      state->mount_ended = true;
    must_end = !std::exchange(state->mount_ended, true);
  }
  Result<void> ended;
  if (must_end) ended = end_mount();
  auto threads_ended = wait_for_threads();
  if (!ended) return ended;
  return threads_ended;
}

Result<void> FuseServer::end_mount() {
  connection_->dispatcher.stop_all();
  uint64_t one = 1;
  ssize_t written = ::write(connection_->stop_event.get(), &one, sizeof one);
  CASTORE_CHECK(written == sizeof one || !connection_->stop_event, "an event counts to one");
  // First the connection, then the mount: unmounting waits for pages that are being read ahead,
  // which with a store that hangs would be for ever. With the last descriptor gone the kernel gives
  // up on everything.
  for (auto& loop : connection_->loops) loop->cut_off(connection_->nowhere.get());
  return unmount_own(connection_->mount_point, connection_->number);
}

Result<void> FuseServer::wait_for_threads() {
  {
    auto state = connection_->progress.lock();
    if (!state.wait_for(connection_->progressed, connection_->stop_grace,
                        [&] { return state->threads_running == 0; }))
      return fail(ErrorKind::kUnavailable,
                  "{} is unmounted, but {} requests are stuck in the store",
                  connection_->mount_point, state->threads_running);
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  connection_->loops.clear();  // closes the descriptors
  return {};
}

const std::string& FuseServer::mount_point() const {
  return connection_->mount_point;
}

const fuse::Session& FuseServer::session() const {
  return connection_->session;
}

bool FuseServer::cloned() const {
  return connection_->cloned;
}

}  // namespace castore::fuse_device
