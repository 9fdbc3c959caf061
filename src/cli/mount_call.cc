// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/mount_call.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mount.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace castore::cli {
namespace {

constexpr std::string_view kUsage =
    "mount.castore SOURCE TARGET [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTION,...]";

// Options that say nothing to a helper, nothing about a file system that never changes, or what
// holds for every castore mount.
constexpr std::string_view kWithoutMeaning[] = {
    "_netdev",    "async",  "atime",    "auto",       "comment",       "defaults", "diratime",
    "dirsync",    "group",  "helper",   "iversion",   "lazytime",      "loud",     "mand",
    "noatime",    "noauto", "nodev",    "nodiratime", "nofail",        "nogroup",  "noiversion",
    "nolazytime", "nomand", "noowner",  "norelatime", "nostrictatime", "nosuid",   "nouser",
    "nousers",    "owner",  "relatime", "silent",     "strictatime",   "sync",     "uhelper",
    "user",       "users",
};

// Options of `castore mount` and common ones that make no sense in the background or in a table.
constexpr std::string_view kNotOffered[] = {"foreground", "progress"};

struct Attribute {
  std::string_view on;
  std::string_view off;
  uint64_t bit;
};
constexpr Attribute kAttributes[] = {
    {.on = "noexec", .off = "exec", .bit = MOUNT_ATTR_NOEXEC},
    {.on = "nosymfollow", .off = "symfollow", .bit = MOUNT_ATTR_NOSYMFOLLOW},
};

bool is_in(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Parts between commas; within double quotes a comma is an ordinary character.
Result<std::vector<std::string>> split_options(std::string_view text) {
  std::vector<std::string> options(1);
  bool quoted = false;
  for (char c : text) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      options.emplace_back();
    else
      options.back() += c;
  }
  if (quoted)
    return fail(ErrorKind::kInvalidArgument, "options {}: a quotation mark is missing", text);
  std::erase(options, "");
  return options;
}

// What stands on the helper's command line.
struct Arguments {
  std::vector<std::string> places;  // SOURCE and TARGET
  std::vector<std::string> options;
  std::optional<std::string> mount_namespace;
  bool sloppy = false;
  bool fake = false;
  bool verbose = false;
};

Result<Arguments> read_arguments(std::span<const char* const> given) {
  Arguments arguments;
  for (size_t i = 1; i < given.size(); i++) {
    std::string_view word = given[i];
    if (word.size() < 2 || word[0] != '-') {
      arguments.places.emplace_back(word);
      continue;
    }
    for (size_t at = 1; at < word.size(); at++) {
      char flag = word[at];
      if (flag == 's') arguments.sloppy = true;
      if (flag == 'f') arguments.fake = true;
      if (flag == 'v') arguments.verbose = true;
      // There is no table but the kernel's to leave the mount out of (-n).
      if (std::string_view("sfvn").contains(flag)) continue;
      if (!std::string_view("oNt").contains(flag))
        return fail(ErrorKind::kInvalidArgument, "unknown option -{}; usage: {}", flag, kUsage);
      std::string value(word.substr(at + 1));
      if (value.empty()) {
        if (++i == given.size())
          return fail(ErrorKind::kInvalidArgument, "option -{} needs a value; usage: {}", flag,
                      kUsage);
        value = given[i];
      }
      if (flag == 'N') arguments.mount_namespace = value;
      if (flag == 'o')
        for (std::string& option : CASTORE_TRY(split_options(value)))
          arguments.options.push_back(std::move(option));
      break;
    }
  }
  if (arguments.places.size() != 2)
    return fail(ErrorKind::kInvalidArgument, "a source and a target are needed; usage: {}", kUsage);
  return arguments;
}

// Both spellings of a name with several words, list_root and list-root, are in use.
std::string with_underscores(std::string_view name) {
  std::string spelled(name);
  std::ranges::replace(spelled, '-', '_');
  return spelled;
}

std::unexpected<Error> unknown_option(std::string_view name, std::span<const LongOption> offered) {
  std::vector<std::string> known;
  for (const LongOption& option : offered)
    if (!is_in(kNotOffered, option.name))
      known.push_back(with_underscores(option.name) + (option.needs_value ? "=" : ""));
  return fail(
      ErrorKind::kInvalidArgument,
      "unknown option '{}' (known: {}; and what holds for all file systems, as ro and noexec)",
      name, fmt::join(known, ", "));
}

// Collects the options for `castore mount`.
class Translation {
 public:
  Translation(std::span<const LongOption> offered, bool sloppy)
      : offered_(offered), sloppy_(sloppy) {}

  Result<void> add(const std::string& option);

  // SOURCE may also say what to mount: in the words of the mount table, castore:/FOLDER for a store
  // and castore:REF for a tree in it, or just REF. `none` and `castore` say nothing.
  Result<void> add_source(std::string_view source);

  MountCall finish(std::string target) &&;

 private:
  Result<void> add_from_source(std::string_view source, std::string name, std::string value);

  std::span<const LongOption> offered_;
  bool sloppy_;
  bool writable_ = true;  // as mount(8) takes it where nothing is said
  std::vector<std::pair<std::string, std::string>> values_;
  MountCall call_;
};

Result<void> Translation::add(const std::string& option) {
  size_t sign = option.find('=');
  std::string name = option.substr(0, sign);
  bool has_value = sign != std::string::npos;
  if (name.starts_with("x-") || name.starts_with("X-")) return {};
  if (is_in(kWithoutMeaning, name)) return {};
  if (name == "ro" || name == "rw") {
    writable_ = name == "rw";
    return {};
  }
  if (name == "suid" || name == "dev") {
    call_.warnings.push_back(fmt::format(
        "option '{}' changes nothing: castore has neither set-user-ID programs nor devices", name));
    return {};
  }
  if (name == "remount")
    return fail(ErrorKind::kInvalidArgument,
                "a castore mount cannot be changed: unmount it and mount it again");
  for (const Attribute& attribute : kAttributes) {
    if (name == attribute.on) call_.attributes |= attribute.bit;
    if (name == attribute.off) call_.attributes &= ~attribute.bit;
    if (name == attribute.on || name == attribute.off) return {};
  }

  auto known = std::ranges::find_if(offered_, [&](const LongOption& offered) {
    return with_underscores(offered.name) == with_underscores(name) &&
           !is_in(kNotOffered, offered.name);
  });
  if (known == offered_.end()) {
    if (sloppy_) return {};
    return unknown_option(name, offered_);
  }
  std::string value = has_value ? option.substr(sign + 1) : "";
  if (value.empty() && (known->needs_value || has_value))
    return fail(ErrorKind::kInvalidArgument, "option '{}' needs a value: {}=...", name, name);
  values_.emplace_back(known->name, std::move(value));
  return {};
}

Result<void> Translation::add_from_source(std::string_view source, std::string name,
                                          std::string value) {
  auto given = std::ranges::find(values_, name, &std::pair<std::string, std::string>::first);
  if (given == values_.end()) {
    values_.emplace_back(std::move(name), std::move(value));
  } else if (given->second != value) {
    return fail(ErrorKind::kInvalidArgument, "source {} and option {}={} contradict each other",
                source, name, given->second);
  }
  return {};
}

Result<void> Translation::add_source(std::string_view source) {
  constexpr std::string_view kPrefix = "castore:";
  if (source.empty() || source == "none" || source == "castore") return {};
  if (!source.starts_with(kPrefix)) return add_from_source(source, "root", std::string(source));
  std::string what(source.substr(kPrefix.size()));
  std::string name = what.starts_with('/') ? "store" : "root";
  return add_from_source(source, std::move(name), std::move(what));
}

MountCall Translation::finish(std::string target) && {
  if (writable_) call_.warnings.push_back("castore is read-only: mounted read-only");
  call_.command_line = {"castore", "mount"};
  for (const auto& [name, value] : values_)
    call_.command_line.push_back("--" + name + (value.empty() ? "" : "=" + value));
  call_.command_line.push_back("--");
  call_.command_line.push_back(target);
  call_.target = std::move(target);
  return std::move(call_);
}

}  // namespace

Result<MountCall> read_mount_call(std::span<const char* const> arguments,
                                  std::span<const LongOption> offered) {
  Arguments given = CASTORE_TRY(read_arguments(arguments));
  Translation translation(offered, given.sloppy);
  for (const std::string& option : given.options) CASTORE_TRY(translation.add(option));
  CASTORE_TRY(translation.add_source(given.places[0]));
  MountCall call = std::move(translation).finish(std::move(given.places[1]));
  call.mount_namespace = std::move(given.mount_namespace);
  call.fake = given.fake;
  call.verbose = given.verbose;
  return call;
}

}  // namespace castore::cli
