// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace castore::cli {

// Where results go: standard output. Not being able to write there is an error like any other.
// One thread at a time.
class Output {
 public:
  explicit Output(FILE* stream);

  // A name out of a store as it is to be written: as it is for a program, made harmless for a
  // terminal.
  std::string name(std::string_view bytes) const;

  Result<void> line(std::string_view text);
  Result<void> bytes(ByteView bytes);

  // Everything written so far has left the process after this.
  Result<void> flush();

 private:
  FILE* stream_;
  bool is_terminal_;
};

}  // namespace castore::cli
