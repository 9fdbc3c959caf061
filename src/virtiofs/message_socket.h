// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "virtiofs/message.h"

namespace castore::virtiofs {

// One end of a vhost-user connection. Waits end when a stop is asked for, whatever the peer does.
//
// One thread at a time.
class MessageSocket {
 public:
  // `stop_event` becomes readable for the stop, stays so, and outlives this.
  MessageSocket(UniqueFd socket, int stop_event)
      : socket_(std::move(socket)), stop_event_(stop_event) {}

  // The next message with the descriptors that came with its first byte. Nothing: the peer has
  // gone, also in the middle of a message, or a stop was asked for. kInvalidArgument: what came is
  // no message of version 1, is a reply, or is longer or has more descriptors than any may.
  Result<std::optional<Message>> receive();

  // Sends a reply. False: the peer has gone, or a stop was asked for.
  Result<bool> reply(const Message& to, ByteView payload, int fd = -1);

 private:
  // False: stop, or the peer has gone.
  Result<bool> wait_for(short events);
  Result<bool> fill(MutableByteView out, std::vector<UniqueFd>* fds);

  UniqueFd socket_;
  int stop_event_;
};

}  // namespace castore::virtiofs
