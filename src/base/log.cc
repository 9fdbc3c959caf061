// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <syslog.h>

#include <initializer_list>
#include <memory>
#include <utility>

namespace castore {
namespace {

constexpr auto kPattern = "%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v";

spdlog::sink_ptr to_standard_error() {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  sink->set_pattern(kPattern);
  return sink;
}

void install(std::shared_ptr<spdlog::logger> logger) {
  logger->set_level(spdlog::default_logger()->level());
  // Who looks into a service's log finds that it has started.
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

Result<void> set_up_logging(std::string_view level) {
  spdlog::level::level_enum parsed = spdlog::level::from_str(std::string(level));
  // from_str answers "off" for a word it does not know.
  if (parsed == spdlog::level::off && level != "off")
    return fail(ErrorKind::kInvalidArgument,
                "unknown log level '{}' (known: trace, debug, info, warn, error, off)", level);
  install(std::make_shared<spdlog::logger>("castore", to_standard_error()));
  spdlog::set_level(parsed);
  return {};
}

Result<void> log_to_file(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    sink->set_pattern(kPattern);
    install(std::make_shared<spdlog::logger>("castore", sink));
  } catch (const spdlog::spdlog_ex& error) {
    return fail(ErrorKind::kInvalidArgument, "opening log file {}: {}", path, error.what());
  }
  return {};
}

void log_to_syslog(const std::string& ident) {
  auto sink = std::make_shared<spdlog::sinks::syslog_sink_mt>(ident, LOG_PID, LOG_DAEMON, true);
  sink->set_pattern("%v");
  install(std::make_shared<spdlog::logger>(
      ident, std::initializer_list<spdlog::sink_ptr>{std::move(sink), to_standard_error()}));
}

}  // namespace castore
