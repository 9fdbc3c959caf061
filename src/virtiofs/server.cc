// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/server.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "base/signals_held_back.h"
#include "virtiofs/connection.h"

namespace castore::virtiofs {

Result<std::unique_ptr<GuestConnection>> GuestConnection::start(UniqueFd socket,
                                                                FilesystemMaker maker,
                                                                const DeviceOptions& options) {
  auto connection = CASTORE_TRY(Connection::make(std::move(socket), std::move(maker), options));
  std::unique_ptr<GuestConnection> guest(new GuestConnection(connection));
  SignalsHeldBack held_back;
  guest->control_ =
      std::thread([connection, &ended = guest->ended_] { ended = connection->run(connection); });
  return guest;
}

GuestConnection::GuestConnection(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)) {}

GuestConnection::~GuestConnection() {
  if (!control_.joinable()) return;
  request_stop();
  if (auto ended = wait(); !ended) spdlog::error("{}", ended.error().message());
}

void GuestConnection::request_stop() {
  connection_->request_stop();
}

Result<void> GuestConnection::wait() {
  if (control_.joinable()) control_.join();
  return ended_;
}

GuestFacts GuestConnection::facts() const {
  return connection_->facts();
}

}  // namespace castore::virtiofs
