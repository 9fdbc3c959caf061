// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fuse_device/server.h"

namespace castore::cli {

// How a mount does, as one JSON object on one line. This is what a server gives to who asks: it
// names no path, which who asks knows, and so has room for everything else.
std::string mount_report(const fuse_device::MountFacts& facts);

// The same for people, a line each. kCorrupt when it is no such object; what an older or newer
// server does not say, or says beyond it, does no harm.
Result<std::vector<std::string>> report_lines(std::string_view report);

// What doctor wants of it.
struct ReportSummary {
  std::string read_path;
  std::string transport;
  std::vector<fuse_device::Note> notes;
};
Result<ReportSummary> summary_of(std::string_view report);

}  // namespace castore::cli
