// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/guest_filesystem.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "fuse/abi.h"

namespace castore::virtiofs {
namespace {

// A guest may greet as often as it likes. Each of its former filesystems that is still in use has
// threads waiting for the store; with so many of them it has to wait for its turn.
constexpr size_t kFormerMax = 2;

// Files and folders a guest may have open at a time. Linux opens none on this device but the root,
// where that is listed; but a guest that does not say so gets handles, and a large file that is
// open may hold a descriptor of ours.
constexpr uint64_t kHandlesMax = 1024;

bool is_greeting(ByteView request) {
  fuse::abi::InHeader header;
  if (request.size() < sizeof header) return false;
  std::memcpy(&header, request.data(), sizeof header);
  return header.opcode == static_cast<uint32_t>(fuse::abi::Opcode::kInit);
}

}  // namespace

struct GuestFilesystem::Served {
  Served(std::shared_ptr<fs::Filesystem> shown, const DeviceOptions& options)
      : filesystem(std::move(shown)),
        dispatcher(*filesystem, {.wishes = {.skip_opens = true,
                                            .skip_folder_opens = !filesystem->root_changes()},
                                 .deferred = {.timeout = options.read_timeout},
                                 .nodes_max = options.nodes_max,
                                 .handles_max = kHandlesMax}) {}

  const std::shared_ptr<fs::Filesystem> filesystem;
  fuse::Dispatcher dispatcher;
  std::atomic<bool> was_greeted = false;
};

GuestFilesystem::GuestFilesystem(FilesystemMaker maker, const DeviceOptions& options)
    : maker_(std::move(maker)), options_(options) {
  state_.lock()->served = make();
}

std::shared_ptr<GuestFilesystem::Served> GuestFilesystem::make() const {
  auto served = std::make_shared<Served>(maker_(), options_);
  served->dispatcher.set_owner(served);
  return served;
}

void GuestFilesystem::serve(ByteView request, fuse::ReplySink& sink, MutableByteView scratch) {
  auto now = served();
  if (is_greeting(request) && now->was_greeted.exchange(true)) {
    renew();
    now = served();
    now->was_greeted.store(true);
  }
  now->dispatcher.handle(request, sink, scratch);
}

void GuestFilesystem::renew() {
  {
    auto state = state_.lock();
    std::erase_if(state->former, [](const auto& former) { return former.expired(); });
    // The dispatcher that is there says no to a second greeting.
    if (state->stopped || state->is_renewing || state->former.size() >= kFormerMax) return;
    state->is_renewing = true;
  }
  auto fresh = make();
  bool stopped = false;
  {
    auto state = state_.lock();
    state->is_renewing = false;
    stopped = state->stopped;
    std::swap(state->served, fresh);
    state->former.push_back(fresh);
  }
  fresh->dispatcher.stop_all();
  if (stopped) served()->dispatcher.stop_all();
}

void GuestFilesystem::interrupt(uint64_t unique) {
  served()->dispatcher.interrupt(unique);
}

void GuestFilesystem::stop_all() {
  std::shared_ptr<Served> now;
  {
    auto state = state_.lock();
    state->stopped = true;
    now = state->served;
  }
  now->dispatcher.stop_all();
}

bool GuestFilesystem::wait_for_deferred(std::chrono::milliseconds grace) {
  std::vector<std::weak_ptr<Served>> all;
  {
    auto state = state_.lock();
    all = state->former;
    all.push_back(state->served);
  }
  bool all_back = true;
  for (auto& one : all)
    if (auto there = one.lock()) all_back = there->dispatcher.wait_for_deferred(grace) && all_back;
  return all_back;
}

GuestFacts GuestFilesystem::facts() {
  auto now = served();
  return {.memory_bytes = 0,
          .queues = 0,
          .session = now->dispatcher.session(),
          .totals = now->filesystem->totals(),
          .operations = now->dispatcher.statistics().report(),
          .deferred = now->dispatcher.deferred()};
}

}  // namespace castore::virtiofs
