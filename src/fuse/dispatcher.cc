// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/dispatcher.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "fuse/listing.h"

namespace castore::fuse {
namespace {

// Below, copying is as fast as moving pages about.
constexpr size_t kSentAsFileBytesMin = 64 << 10;

constexpr uint32_t kBlockBytes = 4096;
constexpr uint32_t kNameBytesMax = 255;

template <typename Operation>
constexpr bool kAllowedBeforeInit =
    std::is_same_v<Operation, InitRequest> || std::is_same_v<Operation, DestroyRequest>;

// One way requests change nothing that runs, so nothing can interrupt them.
template <typename Operation>
constexpr bool kOneWay =
    std::is_same_v<Operation, ForgetRequest> || std::is_same_v<Operation, BatchForgetRequest> ||
    std::is_same_v<Operation, InterruptRequest> || std::is_same_v<Operation, IgnoredRequest>;

// An attribute's value or the list of them: with size 0 only the length is asked for, and less room
// than needed is an error rather than a part.
void answer_sized(Answer& answer, uint32_t size, std::string_view value) {
  if (size == 0) {
    answer.structure(abi::GetxattrOut{.size = static_cast<uint32_t>(value.size()), .padding = 0});
  } else if (size < value.size()) {
    answer.error(fs::Fault::kBufferTooSmall);
  } else {
    answer.bytes(bytes_of(value));
  }
}

}  // namespace

// A request that is served by another thread, from a copy of its bytes.
class Dispatcher::LaterWork final : public DeferredRequests::Work {
 public:
  LaterWork(Dispatcher& dispatcher, std::shared_ptr<void> owner, ByteView bytes)
      : owner_(std::move(owner)), dispatcher_(dispatcher), bytes_(bytes.begin(), bytes.end()) {}

  void serve(const Context& ctx, ReplySink& sink) override {
    // Memory that is not touched costs nothing.
    auto scratch = std::make_unique_for_overwrite<std::byte[]>(kReadBytesMax);
    dispatcher_.serve_request(*decode_request(bytes_), ctx, sink, {scratch.get(), kReadBytesMax});
  }

  std::string describe() const override {
    auto request = decode_request(bytes_);
    const std::string node = dispatcher_.filesystem_.describe(request->node);
    if (const auto* lookup = std::get_if<LookupRequest>(&request->operation))
      return fmt::format("LOOKUP of '{}' in {}", printable(lookup->name), node);
    return fmt::format("{} of {}", name_of(request->opcode), node);
  }

 private:
  std::shared_ptr<void> owner_;  // first, so that it goes last
  Dispatcher& dispatcher_;
  const std::vector<std::byte> bytes_;
};

Dispatcher::Dispatcher(fs::Filesystem& filesystem, DispatcherOptions options)
    : filesystem_(filesystem), options_(std::move(options)), deferred_(options_.deferred) {
  CASTORE_CHECK(!options_.wishes.passthrough || options_.backing_registry != nullptr,
                "passthrough needs somebody to hand files over");
  if (options_.backing_registry != nullptr) backing_.emplace(*options_.backing_registry);
}

void Dispatcher::handle(ByteView bytes, ReplySink& sink, MutableByteView scratch) {
  CASTORE_CHECK(scratch.size() >= kReadBytesMax, "every READ that was agreed on must fit");
  auto request = decode_request(bytes);
  if (!request) {
    const BadRequest& bad = request.error();
    spdlog::debug("a FUSE request of {} bytes makes no sense", bytes.size());
    if (bad.unique) Answer(sink, *bad.unique).error(bad.refusal);
    return;
  }
  Context ctx;
  ctx.cause = Context::Cause::kMount;
  ctx.may_wait = false;
  if (serve_request(*request, ctx, sink, scratch)) return;
  if (auto kept = sink.keep()) {
    serve_later(*request, bytes, std::move(kept));
    return;
  }
  RunningRequests::Scope running(running_, request->unique);
  ctx.may_wait = true;
  ctx.stop = running.token();
  serve_request(*request, ctx, sink, scratch);
}

bool Dispatcher::serve_request(const Request& request, const Context& ctx, ReplySink& sink,
                               MutableByteView scratch) {
  const auto begun = std::chrono::steady_clock::now();
  Call call{request, ctx, Answer(sink, request.unique), scratch};
  std::visit(
      [&]<typename Op>(const Op& operation) {
        if (!kAllowedBeforeInit<Op> && !kOneWay<Op> && !initialised_.load())
          call.answer.error(Refusal::kNotInitialised);
        else
          serve(call, operation);
      },
      request.operation);
  if (call.would_wait) return false;
  statistics_.add(request.opcode, std::chrono::steady_clock::now() - begun, call.answer.failed(),
                  call.answer.body_bytes());
  return true;
}

void Dispatcher::serve_later(const Request& request, ByteView bytes,
                             std::unique_ptr<ReplySink> sink) {
  auto owner = owner_.lock();
  CASTORE_CHECK(owner, "sinks that can be kept need an owner");
  deferred_.submit(request.unique, std::make_unique<LaterWork>(*this, std::move(owner), bytes),
                   std::move(sink), running_);
}

void Dispatcher::fail(Call& call, fs::Fault fault) {
  if (fault == fs::Fault::kWouldWait)
    call.would_wait = true;
  else
    call.answer.error(fault);
}

bool Dispatcher::may_add_node(Call& call) {
  if (filesystem_.node_count() < options_.nodes_max) return true;
  call.answer.error(Refusal::kTooMany);
  return false;
}

bool Dispatcher::may_add_handle(Call& call) {
  if (filesystem_.handle_count() < options_.handles_max) return true;
  call.answer.error(Refusal::kTooMany);
  return false;
}

BackingFiles::Counts Dispatcher::backing() {
  return backing_ ? backing_->counts() : BackingFiles::Counts{};
}

std::optional<Session> Dispatcher::session() {
  return *session_.lock();
}

void Dispatcher::serve(Call& call, const InitRequest& init) {
  auto outcome = negotiate(init, options_.wishes);
  if (const auto* refusal = std::get_if<Refusal>(&outcome)) {
    spdlog::debug("INIT asks for FUSE {}.{}", init.major, init.minor);
    call.answer.error(*refusal);
  } else if (const auto* ask_again = std::get_if<AskAgain>(&outcome)) {
    call.answer.structure(ask_again->reply);
  } else {
    const auto& agreement = std::get<Agreement>(outcome);
    bool first = false;
    {
      auto session = session_.lock();
      first = !session->has_value();
      if (first) *session = agreement.session;
    }
    if (!first) {
      call.answer.error(Refusal::kNotInitialised);
      return;
    }
    agreed_.store(agreement.session.agreed);
    // Before the answer: the next request may come in on another thread as soon as it is out.
    initialised_.store(true);
    call.answer.structure(agreement.reply);
  }
}

void Dispatcher::serve(Call& call, const DestroyRequest&) {
  initialised_.store(false);
  session_.lock()->reset();
  call.answer.empty();
}

void Dispatcher::serve(Call& call, const LookupRequest& lookup) {
  if (!may_add_node(call)) return;
  auto entry = filesystem_.lookup(call.ctx, call.request.node, lookup.name);
  if (entry) {
    if (!call.answer.structure(to_entry_out(*entry))) filesystem_.forget(entry->node, 1);
    return;
  }
  // A folder below the root never changes, so what it lacks it lacks for ever. In the root a name
  // may appear at any time.
  bool absent = entry.error() == fs::Fault::kNoEntry && call.request.node != fs::kRootNode &&
                filesystem_.attributes(call.ctx, call.request.node).has_value();
  if (absent) {
    call.answer.structure(absent_for_ever());
  } else {
    fail(call, entry.error());
  }
}

void Dispatcher::serve(Call& call, const ForgetRequest& forget) {
  filesystem_.forget(call.request.node, forget.count);
}

void Dispatcher::serve(Call&, const BatchForgetRequest& forget) {
  for (size_t i = 0; i < forget.count(); ++i) {
    abi::ForgetOne one = forget.item(i);
    filesystem_.forget(one.nodeid, one.nlookup);
  }
}

void Dispatcher::serve(Call& call, const GetattrRequest&) {
  auto attributes = filesystem_.attributes(call.ctx, call.request.node);
  if (attributes) {
    call.answer.structure(to_attr_out(*attributes));
  } else {
    fail(call, attributes.error());
  }
}

void Dispatcher::serve(Call& call, const ReadlinkRequest&) {
  auto target = filesystem_.readlink(call.ctx, call.request.node);
  if (target) {
    call.answer.bytes(bytes_of(*target));
  } else {
    fail(call, target.error());
  }
}

void Dispatcher::serve(Call& call, const OpenRequest& open) {
  if (has(abi::kNoOpenSupport)) {
    call.answer.error(Refusal::kNotImplemented);
    return;
  }
  if (open.for_writing) {
    call.answer.error(Refusal::kReadOnly);
    return;
  }
  if (!may_add_handle(call)) return;
  auto handle = filesystem_.open(call.ctx, call.request.node);
  if (!handle) {
    fail(call, handle.error());
    return;
  }
  abi::OpenOut out{
      .fh = *handle, .open_flags = abi::kOpenKeepCache | abi::kOpenNoFlush, .backing_id = 0};
  if (has(abi::kPassthrough)) {
    if (auto id = backing_->opened(call.request.node, filesystem_.backing_file(*handle))) {
      // The kernel has no cache of its own then.
      out.open_flags = abi::kOpenPassthrough | abi::kOpenNoFlush;
      out.backing_id = *id;
    }
  }
  if (!call.answer.structure(out)) {
    if (has(abi::kPassthrough)) backing_->closed(call.request.node);
    filesystem_.release(*handle);
  }
}

void Dispatcher::serve(Call& call, const ReadRequest& read) {
  // Never fewer bytes than asked for but at the end: the kernel takes a short answer for the end of
  // the file.
  if (read.size > std::min(call.scratch.size(), call.answer.body_bytes_max())) {
    call.answer.error(Refusal::kTooLarge);
    return;
  }
  for (bool range_will_do : {read.size >= kSentAsFileBytesMin, false}) {
    auto found = filesystem_.read(call.ctx, call.request.node, read.handle, read.offset, read.size,
                                  call.scratch, range_will_do);
    if (!found) return fail(call, found.error());
    if (!found->range) {
      call.answer.bytes(found->bytes);
      return;
    }
    if (call.answer.file(*found->range)) return;
  }
}

void Dispatcher::serve(Call& call, const ReleaseRequest& release) {
  // One handle is released once, and for the node that it was opened for: a guess at either must
  // not make the kernel's count of a node wrong.
  auto node = filesystem_.release(release.handle);
  if (node && has(abi::kPassthrough)) backing_->closed(*node);
  call.answer.empty();
}

void Dispatcher::serve(Call& call, const OpendirRequest&) {
  if (has(abi::kNoOpendirSupport)) {
    call.answer.error(Refusal::kNotImplemented);
    return;
  }
  if (!may_add_handle(call)) return;
  auto handle = filesystem_.open_directory(call.ctx, call.request.node);
  if (!handle) {
    fail(call, handle.error());
    return;
  }
  // The root is listed anew each time, as trees may have been added to it.
  bool constant = call.request.node != fs::kRootNode;
  abi::OpenOut out{.fh = *handle,
                   .open_flags = constant ? abi::kOpenKeepCache | abi::kOpenCacheDir : 0,
                   .backing_id = 0};
  if (!call.answer.structure(out)) filesystem_.release_directory(*handle);
}

void Dispatcher::serve(Call& call, const ReaddirRequest& readdir) {
  if (readdir.plus && !may_add_node(call)) return;
  size_t room = std::min({size_t{readdir.size}, call.scratch.size(), call.answer.body_bytes_max()});
  ListingWriter writer(call.scratch.first(room));
  fs::FsResult<void> listed;
  if (readdir.plus) {
    listed = filesystem_.list_plus(call.ctx, call.request.node, readdir.handle, readdir.offset,
                                   [&](const fs::ListedEntry& line, const fs::Entry& entry) {
                                     return writer.add_plus(line, entry);
                                   });
  } else {
    listed = filesystem_.list(call.ctx, call.request.node, readdir.handle, readdir.offset,
                              [&](const fs::ListedEntry& line) { return writer.add(line); });
  }
  // What was found before a failure is handed out; the next request, which begins behind it, meets
  // the failure again. (What would wait says so before the first entry.)
  if (!listed && writer.written().empty()) {
    fail(call, listed.error());
    return;
  }
  // An empty answer would say that the listing is over.
  if (writer.written().empty() && writer.overflowed()) {
    call.answer.error(Refusal::kTooLarge);
    return;
  }
  bool delivered = call.answer.bytes(writer.written());
  if (!delivered && readdir.plus) forget_listed(filesystem_, writer.written());
}

void Dispatcher::serve(Call& call, const ReleasedirRequest& release) {
  filesystem_.release_directory(release.handle);
  call.answer.empty();
}

void Dispatcher::serve(Call& call, const GetxattrRequest& getxattr) {
  auto value = filesystem_.get_xattr(call.ctx, call.request.node, getxattr.name);
  if (value) {
    answer_sized(call.answer, getxattr.size, *value);
  } else {
    fail(call, value.error());
  }
}

void Dispatcher::serve(Call& call, const ListxattrRequest& listxattr) {
  auto names = filesystem_.list_xattr(call.ctx, call.request.node);
  if (names) {
    answer_sized(call.answer, listxattr.size, *names);
  } else {
    fail(call, names.error());
  }
}

void Dispatcher::serve(Call& call, const LseekRequest& lseek) {
  auto found =
      filesystem_.seek(call.ctx, call.request.node, lseek.handle, lseek.offset, lseek.what);
  if (found) {
    call.answer.structure(abi::LseekOut{.offset = *found});
  } else {
    fail(call, found.error());
  }
}

void Dispatcher::serve(Call& call, const IoctlRequest& ioctl) {
  if (ioctl.command != kReportControl || !options_.report) {
    call.answer.error(Refusal::kNoSuchControl);
    return;
  }
  const std::string text = options_.report();
  const size_t room = std::min({size_t{ioctl.room}, kReportBytesMax, call.scratch.size()});
  if (text.size() >= room) {
    call.answer.error(Refusal::kTooLarge);
    return;
  }
  abi::IoctlOut out{};
  MutableByteView body = call.scratch.first(sizeof out + text.size() + 1);
  std::memcpy(body.data(), &out, sizeof out);
  std::memcpy(body.data() + sizeof out, text.c_str(), text.size() + 1);
  call.answer.bytes(body);
}

void Dispatcher::serve(Call& call, const StatfsRequest&) {
  abi::StatfsOut out{};
  StoreTotals totals;
  if (options_.store_totals) totals = options_.store_totals();
  // Nothing can be added, so nothing is free.
  out.files = totals.files;
  out.blocks = totals.bytes / kBlockBytes + (totals.bytes % kBlockBytes != 0 ? 1 : 0);
  out.bsize = kBlockBytes;
  out.frsize = kBlockBytes;
  out.namelen = kNameBytesMax;
  call.answer.structure(out);
}

void Dispatcher::serve(Call&, const InterruptRequest& interrupt) {
  running_.interrupt(interrupt.unique);
}

void Dispatcher::serve(Call& call, const RefusedRequest& refused) {
  call.answer.error(refused.refusal);
}

void Dispatcher::serve(Call&, const IgnoredRequest&) {}

}  // namespace castore::fuse
