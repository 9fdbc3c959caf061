// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>

namespace castore {

// Bounds on what the model accepts. The first two are part of the format that peers share; the
// others keep memory bounded when bytes come from strangers, and are far above real trees.
inline constexpr size_t kNameBytesMax = 255;
inline constexpr size_t kSymlinkTargetBytesMax = 4095;
inline constexpr size_t kDirectoryBytesMax = size_t{64} << 20;
inline constexpr size_t kDirectoryEntriesMax = 1'000'000;
inline constexpr size_t kTreeDepthMax = 4096;

}  // namespace castore
