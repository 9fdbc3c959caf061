// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "model/node.h"
#include "store/import_cache.h"

namespace castore::store::testing {

// Remembers in memory, and counts. Any thread.
class FakeImportCache final : public ImportCache {
 public:
  size_t source_count() { return state_.lock()->sources.size(); }
  size_t nar_count() { return state_.lock()->nars.size(); }
  uint64_t source_hits() { return state_.lock()->source_hits; }
  uint64_t nar_hits() { return state_.lock()->nar_hits; }

  Result<std::optional<Digest>> find_source(const Context&, const SourceStamp& stamp) override {
    auto state = state_.lock();
    auto found = std::ranges::find(state->sources, stamp, &Source::first);
    if (found == state->sources.end()) return std::nullopt;
    ++state->source_hits;
    return found->second;
  }

  Result<void> remember_source(const Context&, const SourceStamp& stamp,
                               const Digest& digest) override {
    state_.lock()->sources.emplace_back(stamp, digest);
    return {};
  }

  Result<std::optional<NarSummary>> find_nar(const Context&, const Node& root) override {
    auto state = state_.lock();
    auto found = std::ranges::find(state->nars, encode_entry("", root), &Nar::first);
    if (found == state->nars.end()) return std::nullopt;
    ++state->nar_hits;
    return found->second;
  }

  Result<void> remember_nar(const Context&, const Node& root, const NarSummary& summary) override {
    state_.lock()->nars.emplace_back(encode_entry("", root), summary);
    return {};
  }

 private:
  using Source = std::pair<SourceStamp, Digest>;
  using Nar = std::pair<std::string, NarSummary>;

  struct State {
    std::vector<Source> sources;
    std::vector<Nar> nars;
    uint64_t source_hits = 0;
    uint64_t nar_hits = 0;
  };

  Guarded<State> state_;
};

}  // namespace castore::store::testing
