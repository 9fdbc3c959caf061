// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

namespace castore::transfer {

// A path as it stands in a message: a very long one without its middle, as in "/srv/a/.../y/z".
// Names may be put behind it, and the result given here again.
std::string message_path(std::string path);

}  // namespace castore::transfer
