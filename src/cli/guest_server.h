// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <stop_token>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/listening_socket.h"
#include "virtiofs/server.h"

namespace castore::cli {

// Serves virtual machines that connect at some sockets, one at a time at each: a socket belongs to
// one machine, which may connect again. All show what `maker` makes, out of one store. A guest that
// misbehaves loses its own connection.
class GuestServer {
 public:
  struct Options {
    virtiofs::DeviceOptions device;
    bool persistent = false;  // wait for the next connection after one has ended
  };

  // The sockets are borrowed, for as long as this lives.
  static Result<GuestServer> prepare(const std::vector<ListeningSocket>& sockets,
                                     virtiofs::FilesystemMaker maker, Options options);

  // Returns when a stop is requested, or, unless persistent, when each socket has had its guest and
  // those are gone. The error is the first with which a guest's connection ended then; what went
  // wrong with a connection is also in the log.
  Result<void> run(const std::stop_token& stop);

 private:
  GuestServer(const std::vector<ListeningSocket>& sockets, virtiofs::FilesystemMaker maker,
              Options options, UniqueFd stop_event)
      : sockets_(sockets),
        maker_(std::move(maker)),
        options_(std::move(options)),
        stop_event_(std::move(stop_event)) {}

  using Guest = std::shared_ptr<virtiofs::GuestConnection>;
  struct State {
    bool stopping = false;
    std::vector<Guest> guests;
  };

  Result<void> serve(const ListeningSocket& socket);
  Result<void> serve_one(const ListeningSocket& socket, UniqueFd connected);
  Result<bool> somebody_connects(const ListeningSocket& socket) const;
  void request_stop();

  const std::vector<ListeningSocket>& sockets_;
  virtiofs::FilesystemMaker maker_;
  Options options_;
  UniqueFd stop_event_;  // an eventfd; readable: leave
  std::unique_ptr<Guarded<State>> state_ = std::make_unique<Guarded<State>>();
};

}  // namespace castore::cli
