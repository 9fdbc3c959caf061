// SPDX-License-Identifier: MIT OR Apache-2.0
#include <string>

#include "cli/commands.h"
#include "fuse_device/mount.h"

namespace castore::cli {
namespace {

class Umount final : public Command {
 public:
  About about() const override {
    return {.name = "umount",
            .group = "Mounting",
            .summary = "End a castore mount, also one whose server is gone",
            .more = ""};
  }

  void declare(OptionSet& options) override {
    options.argument("MOUNTPOINT", mount_point_, "Where it is mounted");
    options.flag("--lazy", lazy_,
                 "Also while programs use it: it disappears now, and ends when they do");
  }

  bool uses_store() const override { return false; }

  Result<ExitCode> run(Session&) override {
    CASTORE_TRY(fuse_device::unmount(mount_point_, lazy_));
    return ExitCode::kOk;
  }

 private:
  std::string mount_point_;
  bool lazy_ = false;
};

}  // namespace

std::unique_ptr<Command> umount_command() {
  return std::make_unique<Umount>();
}

}  // namespace castore::cli
