// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace castore::cli {

struct CastoreMount {
  std::string mountpoint;
  std::string source;
};

// The castore mounts in the text of /proc/self/mountinfo, in its order.
std::vector<CastoreMount> castore_mounts(std::string_view mountinfo);

}  // namespace castore::cli
