// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/session.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace castore::cli {
namespace {

// The option's value, else the environment variable's where that is not empty.
std::optional<std::string> option_or_environment(std::optional<std::string> option,
                                                 const char* variable) {
  if (option) return option;
  const char* value = std::getenv(variable);
  if (value == nullptr || value[0] == '\0') return std::nullopt;
  return value;
}

config::ServiceAddresses addresses_of(CommonOptions options) {
  std::optional<std::string> folder =
      option_or_environment(std::move(options.store), "CASTORE_STORE");
  std::error_code ignored;  // only when the working folder is gone; opening will say so
  return {
      .store_folder = folder ? std::filesystem::absolute(*folder, ignored).string()
                             : config::default_store_folder(),
      .blobs = option_or_environment(std::move(options.blobs), "BLOB_SERVICE_ADDR"),
      .directories =
          option_or_environment(std::move(options.directories), "DIRECTORY_SERVICE_ADDR"),
      .path_infos = option_or_environment(std::move(options.path_infos), "PATH_INFO_SERVICE_ADDR"),
  };
}

}  // namespace

Session::Session(CommonOptions options)
    : log_level_(
          option_or_environment(std::move(options.log_level), "CASTORE_LOG").value_or("info")),
      progress_(options.progress),
      output_(stdout) {
  addresses_ = addresses_of(std::move(options));
}

Result<Session::Opened> Session::start(config::Access access) {
  Context ctx = CASTORE_TRY(stoppable_context());
  store::Services services = CASTORE_TRY(open(access));
  return Opened{.ctx = std::move(ctx), .services = std::move(services)};
}

Result<Context> Session::stoppable_context(std::optional<std::chrono::seconds> grace) {
  if (!signals_) signals_ = CASTORE_TRY(StopOnSignal::watch(grace));
  return Context{.deadline = std::chrono::steady_clock::time_point::max(),
                 .stop = signals_->token(),
                 .cause = Context::Cause::kCommand};
}

Result<store::Services> Session::open(config::Access access) {
  CASTORE_TRY(stoppable_context());
  return config::open_services(addresses_, access);
}

}  // namespace castore::cli
