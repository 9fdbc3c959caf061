// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/display.h"

namespace castore::cli {
namespace {

constexpr std::string_view kAboutEverything = R"(
Examples:
  castore import ./src                  store a folder, print its store path
  castore mount /mnt                    show everything registered, by name
  castore ls -l <store path>            look into the store without a mount
  castore umount /mnt

Environment:
  CASTORE_STORE            the store folder, as --store
  BLOB_SERVICE_ADDR, DIRECTORY_SERVICE_ADDR, PATH_INFO_SERVICE_ADDR
                           as the options of these names
  CASTORE_LOG              as --log-level

Exit codes:
  0  done               2  the command line is wrong
  1  it failed          3  stored data is damaged, or doctor found something wrong
  128 + N  stopped by signal N

`castore COMMAND --help` tells more; the manual is castore(1).)";

constexpr std::string_view kAboutCommon =
    "Common options (--store and others), environment and exit codes: castore --help";
// The option parser's way to say so.
constexpr const char* kNotInHelp = "";

// The option parser gives some arguments a meaning they must not have here: it takes "[a,b]" apart,
// and forgets about "--" inside a command. Such arguments get this byte in front while it has them.
constexpr char kShield = '\x01';

std::vector<std::string> shielded(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  bool options_ended = false;
  for (int i = 0; i < argc; i++) {
    std::string argument = argv[i];
    if (argument == "--" && !std::exchange(options_ended, true)) continue;
    if (options_ended || argument.starts_with('[') || argument.starts_with(kShield))
      argument.insert(0, 1, kShield);
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

std::string unshielded(std::string argument) {
  if (argument.starts_with(kShield)) argument.erase(0, 1);
  return argument;
}

// Options may stand before or after the command's name; the help lists them once.
void declare_common(CLI::App& app, CommonOptions& common, const char* heading) {
  OptionSet options(app);
  options.group(heading);
  options.value("--store", "DIR", common.store,
                "The store folder [$CASTORE_STORE; default $XDG_DATA_HOME/castore, for root "
                "/var/lib/castore]");
  options.value("--blob-service-addr", "URL", common.blobs,
                "Where blobs are: memory:// or local:///DIR, instead of the store folder");
  options.value("--directory-service-addr", "URL", common.directories,
                "Where directories are, likewise");
  options.value("--path-info-service-addr", "URL", common.path_infos,
                "Where registered paths are, likewise");
  options.value("--log-level", "LEVEL", common.log_level,
                "trace, debug, info, warn, error or off [$CASTORE_LOG; default info]");
  options.choice("--progress", common.progress,
                 {{"auto", ProgressMode::kAuto},
                  {"always", ProgressMode::kAlways},
                  {"never", ProgressMode::kNever}},
                 "When to draw progress on standard error; auto: on a terminal");
}

// What is wrong with the command line, in one line like all errors, and where to read more.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
  std::string program = "castore";
  std::string what = error.what();
  const std::vector<CLI::App*> commands = app.get_subcommands();
  if (!commands.empty()) {
    program += " " + commands.front()->get_name();
  } else if (const std::vector<std::string> rest = app.remaining(); !rest.empty()) {
    auto word = std::ranges::find_if(rest, [](const auto& text) { return !text.starts_with('-'); });
    if (word != rest.end()) what = fmt::format("there is no command '{}'", *word);
  }
  std::erase(what, kShield);
  return fmt::format("{}: {} (see `{} --help`)\n", program, display_text(what), program);
}

}  // namespace

void OptionSet::flag(const char* names, bool& variable, const std::string& help) {
  app_.add_flag(names, variable, help)->group(group_);
}

void OptionSet::value(const char* names, const char* placeholder,
                      std::optional<std::string>& variable, const std::string& help) {
  app_.add_option_function<std::string>(
          names, [&variable](const std::string& given) { variable = unshielded(given); }, help)
      ->option_text(placeholder)
      ->group(group_);
}

void OptionSet::values(const char* names, const char* placeholder,
                       std::vector<std::string>& variable, const std::string& help) {
  // One value each time: what follows may be an argument.
  app_.add_option_function<std::vector<std::string>>(
          names,
          [&variable](const std::vector<std::string>& given) {
            for (const std::string& value : given) variable.push_back(unshielded(value));
          },
          help)
      ->allow_extra_args(false)
      ->option_text(placeholder)
      ->group(group_);
}

void OptionSet::value(const char* names, const char* placeholder, std::optional<uint32_t>& variable,
                      uint32_t lowest, uint32_t highest, const std::string& help) {
  app_.add_option_function<uint32_t>(
          names, [&variable](uint32_t given) { variable = given; }, help)
      ->check(CLI::Range(lowest, highest))
      ->option_text(placeholder)
      ->group(group_);
}

void OptionSet::add_choice(const char* names, std::vector<std::string> words,
                           const std::string& help, std::function<void(size_t index)> chosen) {
  std::string placeholder;
  for (const std::string& word : words) {
    if (!placeholder.empty()) placeholder += '|';
    placeholder += word;
  }
  app_.add_option_function<std::string>(
          names,
          [words, chosen = std::move(chosen)](const std::string& given) {
            chosen(static_cast<size_t>(std::ranges::find(words, given) - words.begin()));
          },
          help)
      ->check(CLI::IsMember(words))
      ->option_text(placeholder)
      ->group(group_);
}

void OptionSet::argument(const char* placeholder, std::string& variable, const std::string& help) {
  app_.add_option_function<std::string>(
          placeholder, [&variable](const std::string& given) { variable = unshielded(given); },
          help)
      ->required()
      ->option_text(" ");
}

void OptionSet::arguments(const char* placeholder, std::vector<std::string>& variable,
                          size_t at_least, const std::string& help) {
  CLI::Option* option = app_.add_option_function<std::vector<std::string>>(
      placeholder,
      [&variable](const std::vector<std::string>& given) {
        for (const std::string& argument : given) variable.push_back(unshielded(argument));
      },
      help);
  option->option_text(" ");
  if (at_least > 0) option->required();
}

std::expected<CommandLine, ExitCode> parse_command_line(
    int argc, const char* const* argv, std::span<const std::unique_ptr<Command>> commands) {
  CommandLine line;
  CLI::App app("castore keeps file trees by content, and mounts them.", "castore");
  app.set_version_flag("--version", "castore " CASTORE_VERSION);
  app.get_formatter()->column_width(34);
  app.require_subcommand(0, 1);
  app.footer(std::string(kAboutEverything));
  declare_common(app, line.common, "Common options");
  for (const auto& command : commands) {
    About about = command->about();
    CLI::App* sub = app.add_subcommand(std::string(about.name), std::string(about.summary));
    sub->group(std::string(about.group));
    sub->footer(fmt::format("{}\n\n{}", about.more, kAboutCommon));
    OptionSet options(*sub);
    command->declare(options);
    declare_common(*sub, line.common, kNotInHelp);
    sub->final_callback([&line, &command] { line.command = command.get(); });
  }

  std::vector<std::string> arguments = shielded(argc, argv);
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  try {
    app.parse(static_cast<int>(pointers.size()), pointers.data());
    if (line.command == nullptr) throw CLI::RequiredError("A command");
  } catch (const CLI::ParseError& error) {
    // Help and version count as errors of this parser, with exit code 0.
    if (error.get_exit_code() == 0) {
      app.exit(error, std::cout, std::cerr);
      return std::unexpected(ExitCode::kOk);
    }
    std::cerr << usage_error(app, error);
    return std::unexpected(ExitCode::kUsage);
  }
  return line;
}

std::vector<LongOption> long_options(Command& command) {
  CLI::App app;
  app.set_help_flag();
  CommonOptions common;
  OptionSet options(app);
  command.declare(options);
  declare_common(app, common, kNotInHelp);
  std::vector<LongOption> found;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames())
      found.push_back({.name = name, .needs_value = option->get_items_expected_min() > 0});
  return found;
}

}  // namespace castore::cli
