// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "virtiofs/guest_filesystem.h"
#include "virtiofs/guest_memory.h"
#include "virtiofs/guest_queue.h"
#include "virtiofs/message_socket.h"
#include "virtiofs/queue_worker.h"
#include "virtiofs/ring_abi.h"
#include "virtiofs/server.h"

namespace castore::virtiofs {

// What a front end may agree on; docs/protocols/virtiofs.md has the list of what is not there.
inline constexpr uint64_t kFeatures =
    abi::kVersion1 | abi::kRingIndirectDesc | abi::kRingEventIdx | abi::kVhostProtocolFeatures;
inline constexpr uint64_t kProtocolFeatures = abi::kProtocolMq | abi::kProtocolReplyAck |
                                              abi::kProtocolConfig | abi::kProtocolResetDevice |
                                              abi::kProtocolMemSlots;

// A front end's messages, and the device that they set up: memory, queues, and what serves them.
//
//   Threads  `run` by one; the rest by any.
class GuestConnection::Connection final : public RequestServer {
 public:
  static Result<std::shared_ptr<Connection>> make(UniqueFd socket, FilesystemMaker maker,
                                                  const DeviceOptions& options);

  // Serves until the end, and returns why it ended: see GuestConnection::wait. Once. The queues'
  // threads keep `self`.
  Result<void> run(const std::shared_ptr<Connection>& self);
  void request_stop();
  GuestFacts facts();

  void serve(ByteView request, fuse::ReplySink& sink, MutableByteView scratch) override;
  void interrupt(uint64_t unique) override;
  void queue_failed(Error error) override;

 private:
  struct Shared {
    std::optional<Error> failure;  // the first of a queue
    uint64_t memory_bytes = 0;
    size_t queues = 0;
  };

  Connection(UniqueFd socket, UniqueFd stop_event, FilesystemMaker maker,
             const DeviceOptions& options);

  Result<void> serve_messages();
  Result<void> end();

  // One message. What it gives is the payload of the reply, or nothing where there is none.
  using Payload = std::optional<std::vector<std::byte>>;
  Result<Payload> handle(Message& message);
  Result<bool> answer(const Message& message, Result<Payload> outcome);

  Result<Payload> get_number(const Message& message, uint64_t number);
  Result<Payload> set_features(const Message& message);
  Result<Payload> set_protocol_features(const Message& message);
  Result<Payload> set_memory_table(Message& message);
  Result<Payload> add_region(Message& message);
  Result<Payload> remove_region(Message& message);
  Result<Payload> set_vring_number(const Message& message);
  Result<Payload> set_vring_address(const Message& message);
  Result<Payload> set_vring_fd(Message& message);
  Result<Payload> stop_vring(const Message& message);
  Result<Payload> get_config(const Message& message);
  Result<Payload> reset(const Message& message);

  Result<void> use_memory(GuestMemory::Regions regions);
  // The queue a message names.
  Result<GuestQueue*> queue(uint64_t index);

  const DeviceOptions options_;
  const UniqueFd stop_event_;
  MessageSocket socket_;
  GuestFilesystem filesystem_;
  std::shared_ptr<Connection> self_;  // while `run` does
  uint64_t features_ = 0;
  uint64_t protocol_features_ = 0;
  std::shared_ptr<const GuestMemory> memory_;
  std::vector<std::unique_ptr<GuestQueue>> queues_;
  Guarded<Shared> shared_;
};

}  // namespace castore::virtiofs
