// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>

#include "base/unique_fd.h"
#include "fuse/backing_files.h"

namespace castore::fuse_device {

// Hands files to the kernel through the connection of a mount.
class DeviceBackings final : public fuse::BackingRegistry {
 public:
  // Before the first file; shares the descriptor.
  void connect(std::shared_ptr<const UniqueFd> device) { device_ = std::move(device); }

  Result<int32_t> add(const fs::BackingFile& file) override;
  void remove(int32_t id) override;

 private:
  std::shared_ptr<const UniqueFd> device_;
};

}  // namespace castore::fuse_device
