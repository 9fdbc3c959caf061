// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "base/context.h"
#include "base/result.h"
#include "digest/digest.h"
#include "model/directory.h"

namespace castore::store {

// A DirectoryService keeps directories and gives them back by the digest of their encoding.
//
//   Threads     any method, any thread, at the same time.
//   Blocking    any method may wait for a disk or a network, at most until `ctx.deadline`.
//               With `ctx.may_wait` false, `get` does not wait for more than a local disk: it fails
//               with kWouldWait instead.
//   Absence     `get` gives null. The empty directory is always there.
//   Order       children are put before their parents, so that what a crash leaves is closed
//               downwards. The service does not check.
//   Durability  as in BlobService.
//   Errors      kCorrupt: stored bytes do not match their digest or are no directory.
//   Proof       every implementation passes store/testing/directory_service_suite.h.
class DirectoryService {
 public:
  virtual ~DirectoryService() = default;

  virtual Result<std::shared_ptr<const Directory>> get(const Context& ctx,
                                                       const Digest& digest) = 0;

  virtual Result<Digest> put(const Context& ctx, const Directory& directory) = 0;

  // Makes durable everything stored before the call.
  virtual Result<void> sync(const Context& ctx) = 0;

  // As BlobService::list.
  using Visitor = std::function<Result<void>(const Digest& digest)>;
  virtual Result<void> list(const Context& ctx, const Visitor& visit) = 0;
};

}  // namespace castore::store
