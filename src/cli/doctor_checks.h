// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/json.h"
#include "cli/session.h"

namespace castore::cli {

enum class CheckState {
  kOk,
  kNote,     // works, with something to know
  kProblem,  // something castore offers does not work
};

std::string_view to_string(CheckState state);  // "ok", "note", "problem"

// One thing `castore doctor` looked at.
struct Check {
  CheckState state = CheckState::kOk;
  std::string topic = {};
  std::string found = {};   // what is so
  std::string advice = {};  // what to do, where there is something
  JsonObject facts = {};    // the same in numbers
};

// The kernel's FUSE, and what an unprivileged mount needs. Forks.
std::vector<Check> check_fuse();

// Mounts that are there, and those whose server is gone. Forks.
std::vector<Check> check_mounts();

// One mount: how it works, and for each thing that might be better, why it is not and what would
// change that. Forks.
std::vector<Check> check_mount_at(const std::string& path);

// Limits of this process.
std::vector<Check> check_limits();

// The store folder and the addresses in force.
std::vector<Check> check_store(const Session& session);

}  // namespace castore::cli
