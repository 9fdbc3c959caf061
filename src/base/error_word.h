// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace castore {

// An error as bytes, for the other end of a pipe to another process of this program: never empty,
// and read back whole by `error_of_word`. A kind is one capital letter.
std::string word_of_error(const Error& error);

// kInternal for bytes that are no such word: whoever wrote them died over it.
Error error_of_word(std::string_view word);

}  // namespace castore
