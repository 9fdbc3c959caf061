// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace castore::cli {

// Where a command says which options it takes. It keeps the option parser's headers, which are slow
// to compile, in one source file. A referenced variable keeps its value when its option is absent.
class OptionSet {
 public:
  explicit OptionSet(CLI::App& app) : app_(app) {}

  // The heading of the options that follow.
  void group(std::string_view heading) { group_ = heading; }

  // `names` is "--name" or "-n,--name". A flag is also read as `--name=false`.
  void flag(const char* names, bool& variable, const std::string& help);
  void value(const char* names, const char* placeholder, std::optional<std::string>& variable,
             const std::string& help);
  // May be given several times.
  void values(const char* names, const char* placeholder, std::vector<std::string>& variable,
              const std::string& help);
  void value(const char* names, const char* placeholder, std::optional<uint32_t>& variable,
             uint32_t lowest, uint32_t highest, const std::string& help);

  // One word out of a list.
  template <typename E>
  void choice(const char* names, E& variable, std::vector<std::pair<std::string, E>> words,
              const std::string& help) {
    std::vector<std::string> spelled;
    for (const auto& [word, meaning] : words) spelled.push_back(word);
    add_choice(names, spelled, help,
               [&variable, words = std::move(words)](size_t i) { variable = words[i].second; });
  }

  // What stands on the command line without a name, in the order of these calls.
  void argument(const char* placeholder, std::string& variable, const std::string& help);
  void arguments(const char* placeholder, std::vector<std::string>& variable, size_t at_least,
                 const std::string& help);

 private:
  void add_choice(const char* names, std::vector<std::string> words, const std::string& help,
                  std::function<void(size_t index)> chosen);

  CLI::App& app_;
  std::string group_ = "Options";
};

}  // namespace castore::cli
