// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/guest_server.h"

#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "base/signals_held_back.h"

namespace castore::cli {

Result<GuestServer> GuestServer::prepare(const std::vector<ListeningSocket>& sockets,
                                         virtiofs::FilesystemMaker maker, Options options) {
  UniqueFd stop_event(::eventfd(0, EFD_CLOEXEC));
  if (!stop_event) return fail_errno(errno, "preparing to be stopped");
  return GuestServer(sockets, std::move(maker), std::move(options), std::move(stop_event));
}

Result<void> GuestServer::run(const std::stop_token& stop) {
  std::stop_callback on_stop(stop, [this] { request_stop(); });
  std::vector<Result<void>> outcomes(sockets_.size());
  std::vector<std::thread> threads;
  {
    SignalsHeldBack held_back;
    for (size_t i = 0; i < sockets_.size(); ++i)
      threads.emplace_back([this, i, &outcomes] {
        (void)::pthread_setname_np(::pthread_self(), "castore-accept");
        outcomes[i] = serve(sockets_[i]);
      });
  }
  for (std::thread& thread : threads) thread.join();
  for (Result<void>& outcome : outcomes) CASTORE_TRY(std::move(outcome));
  return {};
}

void GuestServer::request_stop() {
  std::vector<Guest> guests;
  {
    auto state = state_->lock();
    state->stopping = true;
    guests = state->guests;
  }
  (void)::eventfd_write(stop_event_.get(), 1);
  for (const Guest& guest : guests) guest->request_stop();
}

// Until the stop, or the end of the one guest.
Result<void> GuestServer::serve(const ListeningSocket& socket) {
  while (CASTORE_TRY(somebody_connects(socket))) {
    UniqueFd connected = CASTORE_TRY(socket.accept());
    spdlog::info("{}: a virtual machine has connected", socket.name());
    Result<void> outcome = serve_one(socket, std::move(connected));
    if (outcome) spdlog::info("{}: the virtual machine has disconnected", socket.name());
    if (!options_.persistent) return outcome;
    if (!outcome) spdlog::error("{}", outcome.error().message());
  }
  return {};
}

// False: a stop was requested.
Result<bool> GuestServer::somebody_connects(const ListeningSocket& socket) const {
  struct pollfd polled[2] = {{stop_event_.get(), POLLIN, 0}, {socket.descriptor(), POLLIN, 0}};
  for (;;) {
    if (::poll(polled, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "waiting at {}", socket.name());
    }
    if (polled[0].revents != 0) return false;
    if (polled[1].revents != 0) return true;
  }
}

Result<void> GuestServer::serve_one(const ListeningSocket& socket, UniqueFd connected) {
  Guest guest = CASTORE_TRY_WHILE(
      virtiofs::GuestConnection::start(std::move(connected), maker_, options_.device),
      "serving the virtual machine at {}", socket.name());
  bool stopping = false;
  {
    auto state = state_->lock();
    state->guests.push_back(guest);
    stopping = state->stopping;
  }
  if (stopping) guest->request_stop();
  Result<void> outcome = guest->wait();
  std::erase(state_->lock()->guests, guest);
  CASTORE_TRY_WHILE(std::move(outcome), "serving the virtual machine at {}", socket.name());
  return {};
}

}  // namespace castore::cli
