// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/connection.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "virtiofs/event_fd.h"
#include "virtiofs/ring_abi.h"

namespace castore::virtiofs {
namespace {

using abi::MessageType;

// Those whose answer is not a mere yes or no; what fails in them cannot be said but by going away.
bool has_reply(MessageType type) {
  switch (type) {
    case MessageType::kGetFeatures:
    case MessageType::kGetVringBase:
    case MessageType::kGetProtocolFeatures:
    case MessageType::kGetQueueNum:
    case MessageType::kGetConfig:
    case MessageType::kGetInflightFd:
    case MessageType::kGetMaxMemSlots:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::shared_ptr<GuestConnection::Connection>> GuestConnection::Connection::make(
    UniqueFd socket, FilesystemMaker maker, const DeviceOptions& options) {
  if (options.tag.size() > kTagBytesMax)
    return fail(ErrorKind::kInvalidArgument, "the tag {:?} is longer than {} bytes", options.tag,
                kTagBytesMax);
  if (options.request_queues < 1 || options.request_queues > kRequestQueuesMax)
    return fail(ErrorKind::kInvalidArgument, "{} request queues: there are 1 to {}",
                options.request_queues, kRequestQueuesMax);
  return std::shared_ptr<Connection>(
      new Connection(std::move(socket), CASTORE_TRY(make_event()), std::move(maker), options));
}

GuestConnection::Connection::Connection(UniqueFd socket, UniqueFd stop_event, FilesystemMaker maker,
                                        const DeviceOptions& options)
    : options_(options),
      stop_event_(std::move(stop_event)),
      socket_(std::move(socket), stop_event_.get()),
      filesystem_(std::move(maker), options) {
  for (int i = 0; i < 1 + options_.request_queues; ++i)
    queues_.push_back(std::make_unique<GuestQueue>(options_.stop_grace));
}

void GuestConnection::Connection::request_stop() {
  raise_event(stop_event_.get());
}

void GuestConnection::Connection::serve(ByteView request, fuse::ReplySink& sink,
                                        MutableByteView scratch) {
  filesystem_.serve(request, sink, scratch);
}

void GuestConnection::Connection::interrupt(uint64_t unique) {
  filesystem_.interrupt(unique);
}

void GuestConnection::Connection::queue_failed(Error error) {
  {
    auto shared = shared_.lock();
    if (!shared->failure) shared->failure.emplace(std::move(error));
  }
  request_stop();
}

GuestFacts GuestConnection::Connection::facts() {
  GuestFacts facts = filesystem_.facts();
  auto shared = shared_.lock();
  facts.memory_bytes = shared->memory_bytes;
  facts.queues = shared->queues;
  return facts;
}

Result<void> GuestConnection::Connection::run(const std::shared_ptr<Connection>& self) {
  ::pthread_setname_np(::pthread_self(), "castore-vhost");
  self_ = self;
  Result<void> served = serve_messages();
  Result<void> ended = end();
  self_.reset();
  auto failure = std::exchange(shared_.lock()->failure, std::nullopt);
  if (failure) return std::unexpected(std::move(*failure));
  if (!served) return served;
  return ended;
}

Result<void> GuestConnection::Connection::serve_messages() {
  for (;;) {
    auto message = CASTORE_TRY(socket_.receive());
    if (!message) return {};
    auto outcome = handle(*message);
    if (!CASTORE_TRY(answer(*message, std::move(outcome)))) return {};
    size_t served = 0;
    for (auto& queue : queues_) {
      CASTORE_TRY(queue->serve(self_));
      if (queue->is_served()) ++served;
    }
    auto shared = shared_.lock();
    shared->queues = served;
    shared->memory_bytes = memory_ ? memory_->bytes() : 0;
  }
}

Result<void> GuestConnection::Connection::end() {
  const bool has_failed = shared_.lock()->failure.has_value();
  Result<void> ended;
  for (auto& queue : queues_) {
    if (has_failed) queue->signal_failure();
    if (auto closed = queue->close(); !closed) ended = std::move(closed);
  }
  filesystem_.stop_all();
  if (!filesystem_.wait_for_deferred(options_.stop_grace) && ended)
    ended = fail(ErrorKind::kUnavailable,
                 "the guest has gone, but requests of it are stuck in the "
                 "store");
  memory_.reset();
  return ended;
}

Result<bool> GuestConnection::Connection::answer(const Message& message, Result<Payload> outcome) {
  const bool wants_ack = message.needs_reply() &&
                         (protocol_features_ & abi::kProtocolReplyAck) != 0 &&
                         !has_reply(message.type());
  if (outcome && *outcome) return socket_.reply(message, **outcome);
  // A front end that can be told goes on without; what it does not do is its business.
  const bool may_refuse = wants_ack && !outcome &&
                          (outcome.error().kind() == ErrorKind::kUnsupported ||
                           outcome.error().kind() == ErrorKind::kExhausted);
  if (!outcome && !may_refuse) return std::unexpected(std::move(outcome).error());
  if (!outcome) spdlog::warn("{}", outcome.error().message());
  if (!wants_ack) return true;
  return socket_.reply(message, payload_of(uint64_t{outcome ? 0u : 1u}));
}

Result<GuestConnection::Connection::Payload> GuestConnection::Connection::handle(Message& message) {
  switch (message.type()) {
    case MessageType::kGetFeatures:
      return get_number(message, kFeatures);
    case MessageType::kGetProtocolFeatures:
      return get_number(message, kProtocolFeatures);
    case MessageType::kGetQueueNum:
      return get_number(message, queues_.size());
    case MessageType::kGetMaxMemSlots:
      return get_number(message, kRegionsMax);
    case MessageType::kSetFeatures:
      return set_features(message);
    case MessageType::kSetProtocolFeatures:
      return set_protocol_features(message);
    case MessageType::kSetOwner:
      if (!message.payload.empty() || !message.fds.empty()) return malformed(message);
      return std::nullopt;
    case MessageType::kResetOwner:
    case MessageType::kResetDevice:
      return reset(message);
    case MessageType::kSetMemTable:
      return set_memory_table(message);
    case MessageType::kAddMemReg:
      return add_region(message);
    case MessageType::kRemMemReg:
      return remove_region(message);
    case MessageType::kSetVringNum:
    case MessageType::kSetVringBase:
    case MessageType::kSetVringEnable:
      return set_vring_number(message);
    case MessageType::kSetVringAddr:
      return set_vring_address(message);
    case MessageType::kSetVringKick:
    case MessageType::kSetVringCall:
    case MessageType::kSetVringErr:
      return set_vring_fd(message);
    case MessageType::kGetVringBase:
      return stop_vring(message);
    case MessageType::kGetConfig:
      return get_config(message);
    case MessageType::kSetConfig:
    case MessageType::kSetLogBase:
    case MessageType::kSetLogFd:
    case MessageType::kGetInflightFd:
    case MessageType::kSetInflightFd:
      break;
  }
  return fail(ErrorKind::kUnsupported,
              "the front end asks for something this device does not do (vhost-user message {})",
              message.header.type);
}

Result<GuestQueue*> GuestConnection::Connection::queue(uint64_t index) {
  if (index >= queues_.size())
    return fail(ErrorKind::kInvalidArgument,
                "the front end sets up queue {}, and the device has {}: give both the same number",
                index, queues_.size());
  return queues_[index].get();
}

}  // namespace castore::virtiofs
