// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace castore {

// What a call gives: a value, or why there is none.
template <typename T>
using Result = std::expected<T, Error>;

// An error to return: `return fail(ErrorKind::kCorrupt, "blob {}: ...", digest);`
template <typename... Args>
[[nodiscard]] std::unexpected<Error> fail(ErrorKind kind, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error(kind, fmt::format(format, std::forward<Args>(args)...)));
}

// An error to return for the errno of a system call that just failed; the rest says what was
// attempted: `return fail_errno(errno, "opening {}", path);`
template <typename... Args>
[[nodiscard]] std::unexpected<Error> fail_errno(int errno_value, fmt::format_string<Args...> format,
                                                Args&&... args) {
  return std::unexpected(
      Error::from_errno(errno_value, fmt::format(format, std::forward<Args>(args)...)));
}

namespace detail {

template <typename T, typename E>
T take_value(std::expected<T, E>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace detail

}  // namespace castore

#define CASTORE_CONCAT_INNER(a, b) a##b
#define CASTORE_CONCAT(a, b) CASTORE_CONCAT_INNER(a, b)

// The value of a std::expected expression, or a return of its error from the enclosing function.
// Takes the value out of the expression, also when that is a variable.
#define CASTORE_TRY(...) CASTORE_TRY_INNER(CASTORE_CONCAT(castore_try_, __COUNTER__), __VA_ARGS__)
#define CASTORE_TRY_INNER(name, ...)                   \
  __extension__({                                      \
    auto&& name = (__VA_ARGS__);                       \
    if (!name) [[unlikely]]                            \
      return std::unexpected(std::move(name).error()); \
    ::castore::detail::take_value(std::move(name));    \
  })

// The same, with what was attempted put before the message. The words are formatted only on
// failure: `auto dir = CASTORE_TRY_WHILE(get(digest), "listing {}", path);`
#define CASTORE_TRY_WHILE(expr, ...) \
  CASTORE_TRY_WHILE_INNER(CASTORE_CONCAT(castore_try_, __COUNTER__), expr, __VA_ARGS__)
#define CASTORE_TRY_WHILE_INNER(name, expr, ...)                                           \
  __extension__({                                                                          \
    auto&& name = (expr);                                                                  \
    if (!name) [[unlikely]]                                                                \
      return std::unexpected(std::move(name).error().context(::fmt::format(__VA_ARGS__))); \
    ::castore::detail::take_value(std::move(name));                                        \
  })
