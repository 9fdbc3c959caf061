// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/error_word.h"

namespace castore {
namespace {

constexpr char kFirstKind = 'A';
constexpr char kLastKind = static_cast<char>(kFirstKind + static_cast<int>(ErrorKind::kInternal));

}  // namespace

std::string word_of_error(const Error& error) {
  return static_cast<char>(kFirstKind + static_cast<int>(error.kind())) + error.message();
}

Error error_of_word(std::string_view word) {
  if (word.empty() || word[0] < kFirstKind || word[0] > kLastKind)
    return {ErrorKind::kInternal, "the other process died"};
  return {static_cast<ErrorKind>(word[0] - kFirstKind), std::string(word.substr(1))};
}

}  // namespace castore
