// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/message_path.h"

#include <cstddef>
#include <string_view>

namespace castore::transfer {
namespace {

constexpr size_t kWholeBytesMax = 600;
constexpr size_t kHeadBytesMax = 200;
constexpr size_t kTailBytesMax = 300;
constexpr std::string_view kMiddle = "/...";

}  // namespace

std::string message_path(std::string path) {
  if (path.size() <= kWholeBytesMax) return path;
  // The tail is whole names, the last one whatever its length.
  size_t tail = path.find('/', path.size() - kTailBytesMax);
  if (tail == path.npos) tail = path.rfind('/');
  size_t head = path.rfind('/', kHeadBytesMax);
  if (head == path.npos || tail == path.npos || head + kMiddle.size() >= tail) return path;
  return path.replace(head, tail - head, kMiddle);
}

}  // namespace castore::transfer
