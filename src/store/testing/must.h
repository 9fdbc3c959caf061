// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <fmt/format.h>

#include <source_location>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace castore::store::testing {

// The value of a Result that a test takes for granted. Where there is an error instead, the test
// fails with it and ends there: this throws, which GoogleTest catches. On another thread than the
// test's, it ends the program.
template <typename T, typename E>
T must(std::expected<T, E> result, std::source_location place = std::source_location::current()) {
  if (!result)
    throw std::runtime_error(
        fmt::format("{}:{}: {}", place.file_name(), place.line(), result.error().message()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace castore::store::testing
