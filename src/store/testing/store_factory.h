// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "store/services.h"

namespace castore::store::testing {

// One store that a conformance test may fill: empty at first, gone with the object.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;

  virtual Services& services() = 0;

  // Between what a test stores and what it reads back. A store that lasts may close and open
  // itself here, which makes of each test one of what survives that. Nothing that came from
  // `services` is alive meanwhile.
  virtual void settle() {}
};

// A row of the conformance tests: makes stores of one implementation.
struct StoreFactory {
  std::string name;  // letters, digits and '_'
  std::function<std::unique_ptr<StoreUnderTest>()> make;

  friend void PrintTo(const StoreFactory& factory, std::ostream* out) { *out << factory.name; }
};

// A row for services that need nothing around them, as `factory_of("memory", memory_services)`.
inline StoreFactory factory_of(std::string name, std::function<Services()> make_services) {
  class Plain final : public StoreUnderTest {
   public:
    explicit Plain(Services services) : services_(std::move(services)) {}
    Services& services() override { return services_; }

   private:
    Services services_;
  };
  return {std::move(name), [make_services = std::move(make_services)] {
            return std::make_unique<Plain>(make_services());
          }};
}

// For the last parameter of INSTANTIATE_TEST_SUITE_P.
inline constexpr auto factory_name = [](const auto& info) { return info.param.name; };

}  // namespace castore::store::testing
