// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace castore {

// Standard alphabet with padding (RFC 4648 section 4).
std::string base64_encode(ByteView bytes);

// Strict: padding required, no white space, no other alphabet, no bits left over; else nothing.
// The library decoders at hand accept some of these, and two texts for one digest are a trap.
std::optional<std::vector<std::byte>> base64_decode(std::string_view text);

}  // namespace castore
