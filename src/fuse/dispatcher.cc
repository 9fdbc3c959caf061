// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/dispatcher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"
#include "fuse/listing.h"

namespace castore::fuse {
namespace {

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

Context context_of(std::stop_token stop) {
  Context ctx;
  ctx.stop = std::move(stop);
  ctx.cause = Context::Cause::kMount;
  return ctx;
}

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

void Dispatcher::handle(ByteView bytes, ReplySink& sink, MutableByteView scratch) {
  CASTORE_CHECK(scratch.size() >= kReadBytesMax, "every READ that was agreed on must fit");
  auto request = decode_request(bytes);
  if (!request) {
    const BadRequest& bad = request.error();
    spdlog::debug("a FUSE request of {} bytes makes no sense", bytes.size());
    if (bad.unique) Answer(sink, *bad.unique).error(bad.refusal);
    return;
  }
  std::visit(
      [&]<typename Op>(const Op& operation) {
        Answer answer(sink, request->unique);
        if constexpr (kOneWay<Op>) {
          Context ctx = context_of({});
          Call call{*request, ctx, answer, scratch};
          serve(call, operation);
        } else if (!kAllowedBeforeInit<Op> && !initialised_.load()) {
          answer.error(Refusal::kNotInitialised);
        } else {
          RunningRequests::Scope running(running_, request->unique);
          Context ctx = context_of(running.token());
          Call call{*request, ctx, answer, scratch};
          serve(call, operation);
        }
      },
      request->operation);
}

std::optional<Session> Dispatcher::session() {
  return *session_.lock();
}

void Dispatcher::serve(Call& call, const InitRequest& init) {
  auto outcome = negotiate(init);
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
    call.answer.error(entry.error());
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
    call.answer.error(attributes.error());
  }
}

void Dispatcher::serve(Call& call, const ReadlinkRequest&) {
  auto target = filesystem_.readlink(call.ctx, call.request.node);
  if (target) {
    call.answer.bytes(bytes_of(*target));
  } else {
    call.answer.error(target.error());
  }
}

void Dispatcher::serve(Call& call, const OpenRequest& open) {
  if (open.for_writing) {
    call.answer.error(Refusal::kReadOnly);
    return;
  }
  auto handle = filesystem_.open(call.ctx, call.request.node);
  if (!handle) {
    call.answer.error(handle.error());
    return;
  }
  abi::OpenOut out{.fh = *handle, .open_flags = abi::kOpenKeepCache, .backing_id = 0};
  if (!call.answer.structure(out)) filesystem_.release(*handle);
}

void Dispatcher::serve(Call& call, const ReadRequest& read) {
  // Never fewer bytes than asked for but at the end: the kernel takes a short answer for the end of
  // the file.
  if (read.size > std::min(call.scratch.size(), call.answer.body_bytes_max())) {
    call.answer.error(Refusal::kTooLarge);
    return;
  }
  auto found = filesystem_.read(call.ctx, read.handle, read.offset, read.size, call.scratch);
  if (found) {
    call.answer.bytes(found->bytes);
  } else {
    call.answer.error(found.error());
  }
}

void Dispatcher::serve(Call& call, const ReleaseRequest& release) {
  filesystem_.release(release.handle);
  call.answer.empty();
}

void Dispatcher::serve(Call& call, const OpendirRequest&) {
  auto handle = filesystem_.open_directory(call.ctx, call.request.node);
  if (!handle) {
    call.answer.error(handle.error());
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
  // the failure again.
  if (!listed && writer.written().empty()) {
    call.answer.error(listed.error());
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
    call.answer.error(value.error());
  }
}

void Dispatcher::serve(Call& call, const ListxattrRequest& listxattr) {
  auto names = filesystem_.list_xattr(call.ctx, call.request.node);
  if (names) {
    answer_sized(call.answer, listxattr.size, *names);
  } else {
    call.answer.error(names.error());
  }
}

void Dispatcher::serve(Call& call, const LseekRequest& lseek) {
  auto found = filesystem_.seek(call.ctx, lseek.handle, lseek.offset, lseek.what);
  if (found) {
    call.answer.structure(abi::LseekOut{.offset = *found});
  } else {
    call.answer.error(found.error());
  }
}

void Dispatcher::serve(Call& call, const StatfsRequest&) {
  abi::StatfsOut out{};
  out.files = filesystem_.totals().nodes;
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
