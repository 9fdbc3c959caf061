// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string_view>

namespace castore::detail {

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view explanation);

}  // namespace castore::detail

// Guards against our own mistakes, in every build: prints file, line and condition, and aborts.
// Never used on input.
#define CASTORE_CHECK(condition, explanation)                                       \
  do {                                                                              \
    if (!(condition)) [[unlikely]]                                                  \
      ::castore::detail::check_failed(__FILE__, __LINE__, #condition, explanation); \
  } while (false)
