// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/context.h"
#include "base/result.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "config/open_services.h"
#include "store/services.h"

namespace castore::cli {

// The options every command takes. Unset ones fall back to the environment, then to defaults.
struct CommonOptions {
  std::optional<std::string> store;
  std::optional<std::string> blobs;
  std::optional<std::string> directories;
  std::optional<std::string> path_infos;
  std::optional<std::string> log_level;
  ProgressMode progress = ProgressMode::kAuto;
};

// What a command works with. Nothing is opened and no thread started before a command asks.
//
// Signals are watched from before the first service is opened: services start threads, and a thread
// that began earlier would take a signal the default way and end the process in mid-work.
class Session {
 public:
  explicit Session(CommonOptions options);

  // The addresses in force: from the options, the environment, the defaults.
  const config::ServiceAddresses& addresses() const { return addresses_; }
  const std::string& log_level() const { return log_level_; }
  ProgressMode progress() const { return progress_; }

  // The services a command works with, and the context in which a signal is a stop request.
  struct Opened {
    Context ctx;
    store::Services services;
  };
  Result<Opened> start(config::Access access);

  // The two by themselves. Whichever comes first begins to watch for signals, with its `grace` as
  // in StopOnSignal.
  static constexpr std::chrono::seconds kGrace{10};
  Result<Context> stoppable_context(std::optional<std::chrono::seconds> grace = kGrace);
  Result<store::Services> open(config::Access access);

  // The signal that stopped the command, or 0.
  int caught_signal() const { return signals_ ? signals_->caught() : 0; }

  Output& output() { return output_; }

 private:
  config::ServiceAddresses addresses_;
  std::string log_level_;
  ProgressMode progress_;
  Output output_;
  std::unique_ptr<StopOnSignal> signals_;
};

}  // namespace castore::cli
