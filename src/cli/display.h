// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Text for people.
namespace castore::cli {

bool is_utf8(std::string_view bytes);

// Bytes for a terminal: printable UTF-8 as it is; control characters and everything that is not
// UTF-8 as \xNN, so that a name cannot steer the terminal.
std::string display_text(std::string_view bytes);

// "17 B", "1.5 KiB", "230 GiB".
std::string display_bytes(uint64_t bytes);

// "1234567" as "1,234,567".
std::string display_count(uint64_t count);

}  // namespace castore::cli
