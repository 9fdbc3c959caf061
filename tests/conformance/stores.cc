// SPDX-License-Identifier: MIT OR Apache-2.0
#include "stores.h"

#include <memory>

#include "backends/local/local_store.h"
#include "backends/memory/memory_services.h"
#include "store/testing/must.h"
#include "store/testing/temp_folder.h"

namespace castore::store::testing {
namespace {

enum class Settling { kStaysOpen, kReopens };

class LocalStoreUnderTest final : public StoreUnderTest {
 public:
  explicit LocalStoreUnderTest(Settling settling) : settling_(settling) {
    open(backends::OpenMode::kCreate);
  }

  Services& services() override { return services_; }

  void settle() override {
    if (settling_ == Settling::kStaysOpen) return;
    services_ = {};
    open(backends::OpenMode::kExisting);
  }

 private:
  void open(backends::OpenMode mode) {
    services_ = must(backends::LocalStore::open(folder_ / "store", mode))->services();
  }

  const Settling settling_;
  TempFolder folder_;
  Services services_;
};

StoreFactory local(std::string name, Settling settling) {
  return {std::move(name), [settling] { return std::make_unique<LocalStoreUnderTest>(settling); }};
}

}  // namespace

std::vector<StoreFactory> all_stores() {
  return {
      factory_of("memory", backends::memory_services),
      local("local", Settling::kStaysOpen),
      local("local_reopened", Settling::kReopens),
  };
}

}  // namespace castore::store::testing
