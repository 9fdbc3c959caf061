// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <optional>

#include "base/context.h"
#include "base/result.h"
#include "nix/path_info.h"

namespace castore::store {

// A PathInfoService keeps what is known about store paths: the register of trees by name.
//
//   Threads     any method, any thread, at the same time.
//   Blocking    any method may wait for a disk or a network, at most until `ctx.deadline`.
//               With `ctx.may_wait` false, `get` and `list` do not wait for more than a local disk:
//               they fail with kWouldWait instead.
//   Absence     `get` gives nothing.
//   Durability  `put` returns when the record, and all blobs and directories put before into the
//               same store, are durable.
//   Errors      kCorrupt: the stored record is damaged.
//   Proof       every implementation passes store/testing/path_info_service_suite.h.
class PathInfoService {
 public:
  virtual ~PathInfoService() = default;

  // By the digest part alone; the caller compares the name where it matters.
  virtual Result<std::optional<nix::PathInfo>> get(const Context& ctx,
                                                   const nix::StorePathDigest& digest) = 0;

  // Adds or replaces the record of a store path.
  virtual Result<void> put(const Context& ctx, const nix::PathInfo& info) = 0;

  // Calls `visit` for each record, in the order of StorePathDigest, until it gives an error, which
  // is passed on. A damaged record is passed to the visitor as its error, and the listing goes on.
  using Visitor =
      std::function<Result<void>(const nix::StorePathDigest& digest, Result<nix::PathInfo> info)>;
  virtual Result<void> list(const Context& ctx, const Visitor& visit) = 0;
};

}  // namespace castore::store
