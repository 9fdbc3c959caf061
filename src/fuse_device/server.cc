// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <future>
#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "base/guarded.h"
#include "base/signals_held_back.h"
#include "base/thread_pool.h"
#include "fuse/dispatcher.h"
#include "fuse/negotiate.h"
#include "fuse_device/device_backings.h"
#include "fuse_device/device_loop.h"
#include "fuse_device/uring_queue.h"

namespace castore::fuse_device {
namespace {

constexpr std::chrono::seconds kGreetingTimeout{10};

// Who reads a large file in order is sent it in the largest requests there are; the kernel's
// default is an eighth of that. Needs privilege, and works without. More would make a page fault in
// a mapped file fetch more than the program is likely to want.
void raise_readahead(const std::string& device) {
  const std::string path = fmt::format("/sys/class/bdi/{}/read_ahead_kb", device);
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const std::string text = std::to_string(fuse::kReadBytesMax / 1024);
  if (!file || ::write(file.get(), text.data(), text.size()) < 0)
    spdlog::debug("{} stays as it is: {}", path, std::strerror(errno));
}

Note note_of_refusal(std::string_view what, std::string_view why) {
  return {.found = fmt::format("{}: {}", what, why),
          .advice = "a store that is on ext4, xfs or btrfs itself can be passed through"};
}

}  // namespace

struct FuseServer::Connection {
  struct Progress {
    size_t threads_running = 0;
    bool stop_requested = false;
    bool failed = false;  // a thread met an error that is not an unmount
    bool mount_ended = false;
  };

  Connection(std::shared_ptr<fs::Filesystem> shown, const ServerOptions& server_options,
             const Plan& server_plan);

  const std::shared_ptr<fs::Filesystem> filesystem;
  const ServerOptions options;
  Plan plan;
  DeviceBackings backings;
  fuse::Dispatcher dispatcher;
  UniqueFd stop_event;
  UniqueFd nowhere;
  std::vector<std::unique_ptr<DeviceLoop>> loops;
  std::vector<std::unique_ptr<UringQueue>> queues;
  std::string mount_point;
  std::string number;
  fuse::Session session;
  bool cloned = true;
  Guarded<Progress> progress;
  std::condition_variable progressed;

  Result<void> open_loops(UniqueFd device);
  Result<void> try_passthrough();
  void serve(DeviceLoop& loop);
  void serve(UringQueue& queue, const std::function<void(Result<void>)>& registered);
  void thread_ended(bool failed);
  MountFacts facts();
};

FuseServer::Connection::Connection(std::shared_ptr<fs::Filesystem> shown,
                                   const ServerOptions& server_options, const Plan& server_plan)
    : filesystem(std::move(shown)),
      options(server_options),
      plan(server_plan),
      dispatcher(*filesystem, {.wishes = {.skip_opens = true,
                                          .skip_folder_opens = !filesystem->root_changes(),
                                          .passthrough = plan.read_path == ReadPath::kPassthrough,
                                          .io_uring = plan.transport == Transport::kIoUring},
                               .backing_registry = &backings,
                               .deferred = {.timeout = options.read_timeout},
                               .report = options.report ? [this] { return options.report(facts()); }
                                                        : std::function<std::string()>(),
                               .store_totals = options.store_totals}) {}

Result<void> FuseServer::Connection::open_loops(UniqueFd device) {
  nowhere = CASTORE_TRY(open_file("/dev/null", O_RDWR));
  stop_event = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_event) return fail_errno(errno, "making an event descriptor");
  loops.push_back(CASTORE_TRY(DeviceLoop::make(std::move(device), stop_event.get())));
  DeviceLoop& first = *loops.front();
  backings.connect(first.device());
  CASTORE_TRY(first.serve_init(dispatcher, kGreetingTimeout));
  session = *dispatcher.session();

  if (plan.read_path == ReadPath::kPassthrough && !session.has(fuse::abi::kPassthrough)) {
    plan.read_path = ReadPath::kCached;
    plan.notes.push_back(
        {"no passthrough: this kernel does not offer it (Linux 6.9 is the first)"});
  }
  if (plan.transport == Transport::kIoUring) {
    if (session.has(fuse::abi::kOverIoUring)) {
      uint16_t count = CASTORE_TRY(possible_processors());
      for (uint16_t processor = 0; processor < count; ++processor)
        queues.push_back(std::make_unique<UringQueue>(first.device(), processor, stop_event.get()));
      return {};  // the one loop has little to do
    }
    plan.transport = Transport::kDevice;
    plan.notes.push_back({"no io_uring: the kernel did not offer it to this mount"});
  }

  const size_t count = options.thread_count > 0 ? options.thread_count : cpu_count();
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

// Whether a filesystem may be passed through the kernel says only to who hands it a file of it, and
// only once passthrough was agreed on.
Result<void> FuseServer::Connection::try_passthrough() {
  if (plan.read_path != ReadPath::kPassthrough || options.file_of_store.empty()) return {};
  UniqueFd file = CASTORE_TRY(open_file(options.file_of_store, O_RDONLY));
  backings.remove(CASTORE_TRY(backings.add({.fd = file.get(), .keep_alive = nullptr})));
  return {};
}

void FuseServer::Connection::serve(DeviceLoop& loop) {
  ::pthread_setname_np(::pthread_self(), "castore-fuse");
  thread_ended(loop.run(dispatcher) == DeviceLoop::End::kFailed);
}

void FuseServer::Connection::serve(UringQueue& queue,
                                   const std::function<void(Result<void>)>& registered) {
  ::pthread_setname_np(::pthread_self(), "castore-uring");
  thread_ended(queue.run(dispatcher, registered) == UringQueue::End::kFailed);
}

void FuseServer::Connection::thread_ended(bool failed) {
  {
    auto state = progress.lock();
    --state->threads_running;
    if (failed) state->failed = true;
  }
  progressed.notify_all();
}

MountFacts FuseServer::Connection::facts() {
  fuse::BackingFiles::Counts backing = dispatcher.backing();
  std::vector<Note> notes = plan.notes;
  if (!backing.refusal.empty())
    notes.push_back(note_of_refusal("not all large files are passed through", backing.refusal));
  return {.mount_point = mount_point,
          .source = options.mount.source,
          .read_path = plan.read_path,
          .transport = plan.transport,
          .notes = std::move(notes),
          .threads = loops.size() + queues.size(),
          .cloned = cloned,
          .session = session,
          .totals = filesystem->totals(),
          .operations = dispatcher.statistics().report(),
          .deferred = dispatcher.deferred(),
          .backing = std::move(backing)};
}

Result<std::unique_ptr<FuseServer>> FuseServer::start(std::shared_ptr<fs::Filesystem> filesystem,
                                                      const ServerOptions& options) {
  Circumstances circumstances = look_around();
  circumstances.few_large_files = options.few_large_files;
  circumstances.store_may_be_slow = options.store_may_be_slow;
  Plan plan = make_plan(options.read_path, options.transport, circumstances);
  auto server = start_as_planned(filesystem, options, plan);
  if (server || plan.transport != Transport::kIoUring) return server;
  // The kernel has been told that it will be served by io_uring, and there is no way back but a new
  // mount.
  plan.transport = Transport::kDevice;
  plan.notes.push_back({"no io_uring: " + server.error().message()});
  return start_as_planned(std::move(filesystem), options, plan);
}

Result<std::unique_ptr<FuseServer>> FuseServer::start_as_planned(
    std::shared_ptr<fs::Filesystem> filesystem, const ServerOptions& options, const Plan& plan) {
  auto connection = std::make_shared<Connection>(filesystem, options, plan);
  connection->dispatcher.set_owner(connection);
  Mounted mounted = CASTORE_TRY(mount(options.mount));
  connection->mount_point = mounted.mount_point;
  connection->number = mounted.number;

  // From here on the destructor unmounts.
  std::unique_ptr<FuseServer> server(new FuseServer(connection));
  CASTORE_TRY_WHILE(connection->open_loops(std::move(mounted.device)), "mounting on {}",
                    mounted.mount_point);
  if (Result<void> taken = connection->try_passthrough(); !taken) {
    // The kernel has been told that each open is to be asked for. As with io_uring, the way back is
    // a new mount.
    server.reset();
    Plan without = connection->plan;
    without.read_path = ReadPath::kCached;
    without.notes.push_back(note_of_refusal("no passthrough", taken.error().message()));
    return start_as_planned(std::move(filesystem), options, without);
  }
  raise_readahead(mounted.number);
  CASTORE_TRY_WHILE(server->start_threads(), "mounting on {}", mounted.mount_point);
  return server;
}

Result<void> FuseServer::start_threads() {
  SignalsHeldBack held_back;
  connection_->progress.lock()->threads_running =
      connection_->loops.size() + connection_->queues.size();
  for (auto& loop : connection_->loops)
    threads_.emplace_back([connection = connection_, &loop = *loop] { connection->serve(loop); });

  std::vector<std::future<Result<void>>> registered;
  for (auto& queue : connection_->queues) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    registered.push_back(promise->get_future());
    threads_.emplace_back([connection = connection_, &queue = *queue, promise] {
      connection->serve(queue, [&](Result<void> result) { promise->set_value(std::move(result)); });
    });
  }
  Result<void> all;
  for (auto& one : registered)
    if (Result<void> result = one.get(); !result && all) all = std::move(result);
  return all;
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
  connection_->dispatcher.stop_all();
  if (must_end) ended = end_mount();
  auto threads_ended = wait_for_threads();
  if (!ended) return ended;
  return threads_ended;
}

Result<void> FuseServer::end_mount() {
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
    if (!state.wait_for(connection_->progressed, connection_->options.stop_grace,
                        [&] { return state->threads_running == 0; }))
      return fail(ErrorKind::kUnavailable,
                  "{} is unmounted, but {} requests are stuck in the store",
                  connection_->mount_point, state->threads_running);
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  if (!connection_->dispatcher.wait_for_deferred(connection_->options.stop_grace))
    return fail(ErrorKind::kUnavailable, "{} is unmounted, but {} requests are stuck in the store",
                connection_->mount_point, connection_->dispatcher.deferred().running);
  connection_->loops.clear();  // closes the descriptors
  return {};
}

const std::string& FuseServer::mount_point() const {
  return connection_->mount_point;
}

MountFacts FuseServer::facts() const {
  return connection_->facts();
}

}  // namespace castore::fuse_device
