// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#include "backends/local/database.h"
#include "base/result.h"

namespace castore::backends::local {

// The three ways in which the store makes something durable, in one place: a test puts its own
// there, to fail, or to look at what a loss of power would leave.
//
// After a failed flush nobody knows what is on disk: the kernel reports such an error once, and may
// then count the lost pages as written. A flush is therefore never repeated in the hope of a better
// answer.
class Disk {
 public:
  virtual ~Disk() = default;

  virtual Result<void> flush_file(int fd, const std::string& path);
  virtual Result<void> flush_folder(const std::string& path);
  virtual Result<void> commit(Database::Writer& writer);
};

}  // namespace castore::backends::local
