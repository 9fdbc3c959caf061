// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace castore {

// Lower-case hexadecimal.
std::string hex_encode(ByteView bytes);

// Accepts lower case only; nothing for an odd length or another character.
std::optional<std::vector<std::byte>> hex_decode(std::string_view text);

}  // namespace castore
