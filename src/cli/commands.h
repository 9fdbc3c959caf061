// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>

#include "cli/command.h"

// Each in cmd_<name>.cc.
namespace castore::cli {

std::unique_ptr<Command> import_command();
std::unique_ptr<Command> ingest_command();
std::unique_ptr<Command> list_command();
std::unique_ptr<Command> ls_command();
std::unique_ptr<Command> cat_command();
std::unique_ptr<Command> stat_command();
std::unique_ptr<Command> export_command();
std::unique_ptr<Command> mount_command();
std::unique_ptr<Command> umount_command();
std::unique_ptr<Command> stats_command();
std::unique_ptr<Command> virtiofs_command();
std::unique_ptr<Command> verify_command();
std::unique_ptr<Command> doctor_command();

}  // namespace castore::cli
