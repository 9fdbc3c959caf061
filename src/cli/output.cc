// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/output.h"

#include <unistd.h>

#include <cerrno>

#include "cli/display.h"

namespace castore::cli {
namespace {

std::unexpected<Error> write_failed() {
  return fail_errno(errno, "writing to standard output");
}

}  // namespace

Output::Output(FILE* stream) : stream_(stream), is_terminal_(::isatty(::fileno(stream)) == 1) {}

std::string Output::name(std::string_view bytes) const {
  return is_terminal_ ? display_text(bytes) : std::string(bytes);
}

Result<void> Output::line(std::string_view text) {
  CASTORE_TRY(bytes(bytes_of(text)));
  if (std::fputc('\n', stream_) == EOF) return write_failed();
  return {};
}

Result<void> Output::bytes(ByteView bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stream_) != bytes.size()) return write_failed();
  return {};
}

Result<void> Output::flush() {
  if (std::fflush(stream_) != 0) return write_failed();
  return {};
}

}  // namespace castore::cli
