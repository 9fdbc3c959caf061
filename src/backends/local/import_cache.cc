// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/local_state.h"
#include "backends/local/records.h"

namespace castore::backends::local {
namespace {

class LocalImportCache final : public store::ImportCache {
 public:
  explicit LocalImportCache(std::shared_ptr<LocalState> state) : state_(std::move(state)) {}

  Result<std::optional<Digest>> find_source(const Context&,
                                            const store::SourceStamp& stamp) override {
    Database::Reader reader = CASTORE_TRY(state_->database->read());
    std::string key = source_key(stamp);
    auto value = CASTORE_TRY(reader.get(Table::kSources, bytes_of(key)));
    if (!value) return std::nullopt;
    return decode_source(stamp, *value);
  }

  Result<void> remember_source(const Context&, const store::SourceStamp& stamp,
                               const Digest& digest) override {
    return state_->queue.add_record(Table::kSources, source_key(stamp),
                                    encode_source(stamp, digest));
  }

  Result<std::optional<store::NarSummary>> find_nar(const Context&, const Node& root) override {
    Database::Reader reader = CASTORE_TRY(state_->database->read());
    std::string key = nar_key(root);
    auto value = CASTORE_TRY(reader.get(Table::kNars, bytes_of(key)));
    if (!value) return std::nullopt;
    return decode_nar(bytes_of(key), *value);
  }

  Result<void> remember_nar(const Context&, const Node& root,
                            const store::NarSummary& summary) override {
    std::string key = nar_key(root);
    std::string value = encode_nar(bytes_of(key), summary);
    return state_->queue.add_record(Table::kNars, std::move(key), std::move(value));
  }

 private:
  std::shared_ptr<LocalState> state_;
};

}  // namespace

std::shared_ptr<store::ImportCache> make_import_cache(std::shared_ptr<LocalState> state) {
  return std::make_shared<LocalImportCache>(std::move(state));
}

}  // namespace castore::backends::local
