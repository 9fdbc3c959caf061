// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/command_line.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace castore::cli {
namespace {

enum class Colour { kRed, kBlue };

class Probe final : public Command {
 public:
  About about() const override {
    return {.name = "probe", .group = "Testing", .summary = "Takes options", .more = "More."};
  }
  void declare(OptionSet& options) override {
    options.arguments("PATH", paths, 1, "Paths");
    options.flag("-f,--flag", flag, "A flag");
    options.flag("--on", on, "A flag that is on");
    options.value("--text", "TEXT", text, "Text");
    options.value("--count", "N", count, 1, 9, "A number");
    options.choice("--colour", colour, {{"red", Colour::kRed}, {"blue", Colour::kBlue}}, "One of");
  }
  Result<ExitCode> run(Session&) override { return ExitCode::kOk; }

  std::vector<std::string> paths;
  bool flag = false;
  bool on = true;
  std::optional<std::string> text;
  std::optional<uint32_t> count;
  Colour colour = Colour::kBlue;
};

class CommandLineTest : public ::testing::Test {
 protected:
  std::expected<CommandLine, ExitCode> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "castore");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    auto line = parse_command_line(static_cast<int>(arguments.size()), arguments.data(), commands_);
    out_ = ::testing::internal::GetCapturedStdout();
    err_ = ::testing::internal::GetCapturedStderr();
    return line;
  }

  Probe& probe() { return static_cast<Probe&>(*commands_[0]); }

  const std::unique_ptr<Command> commands_[1] = {std::make_unique<Probe>()};
  std::string out_;
  std::string err_;
};

TEST_F(CommandLineTest, FillsTheCommandsOptions) {
  auto line =
      parse({"probe", "a", "--text=t", "-f", "--on=false", "--count", "3", "--colour", "red", "b"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->command, &probe());
  EXPECT_EQ(probe().paths, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(probe().flag);
  EXPECT_FALSE(probe().on);
  EXPECT_EQ(probe().text, "t");
  EXPECT_EQ(probe().count, 3u);
  EXPECT_EQ(probe().colour, Colour::kRed);
}

TEST_F(CommandLineTest, LeavesWhatIsNotGiven) {
  ASSERT_TRUE(parse({"probe", "a"}));
  EXPECT_FALSE(probe().flag);
  EXPECT_TRUE(probe().on);
  EXPECT_EQ(probe().text, std::nullopt);
  EXPECT_EQ(probe().count, std::nullopt);
  EXPECT_EQ(probe().colour, Colour::kBlue);
}

TEST_F(CommandLineTest, TakesCommonOptionsBeforeAndAfterTheCommand) {
  auto before = parse({"--store", "/s", "probe", "a"});
  ASSERT_TRUE(before);
  EXPECT_EQ(before->common.store, "/s");
  auto after = parse({"probe", "a", "--store", "/t", "--progress=never"});
  ASSERT_TRUE(after);
  EXPECT_EQ(after->common.store, "/t");
  EXPECT_EQ(after->common.progress, ProgressMode::kNever);
}

TEST_F(CommandLineTest, TakesAnyPathAsItIs) {
  std::vector<const char*> odd = {"probe", "[a,b]", "",           "-",  "a=b", "a,b",      "\xff",
                                  "{x}",   "%%",    "\"quoted\"", "--", "-x",  "--option", "probe"};
  ASSERT_TRUE(parse(odd)) << err_;
  std::vector<std::string> expected(odd.begin() + 1, odd.end());
  std::erase(expected, "--");
  EXPECT_EQ(probe().paths, expected);
}

TEST_F(CommandLineTest, APathMayBeCalledLikeTheCommand) {
  ASSERT_TRUE(parse({"probe", "probe"}));
  EXPECT_EQ(probe().paths, std::vector<std::string>{"probe"});
}

TEST_F(CommandLineTest, MistakesAreUsageErrorsOnStandardError) {
  for (const auto& mistake :
       std::vector<std::vector<const char*>>{{},
                                             {"unknown"},
                                             {"probe"},
                                             {"probe", "a", "--unknown"},
                                             {"probe", "a", "--count", "10"},
                                             {"probe", "a", "--count", "x"},
                                             {"probe", "a", "--colour", "green"},
                                             {"probe", "a", "--text"}}) {
    auto line = parse(mistake);
    ASSERT_FALSE(line);
    EXPECT_EQ(line.error(), ExitCode::kUsage);
    EXPECT_EQ(out_, "");
    EXPECT_NE(err_, "");
  }
}

TEST_F(CommandLineTest, LongOptionsSayWhetherTheyNeedAValue) {
  std::map<std::string, bool> needs_value;
  for (const LongOption& option : long_options(probe()))
    needs_value.emplace(option.name, option.needs_value);
  EXPECT_EQ(needs_value.at("text"), true);
  EXPECT_EQ(needs_value.at("count"), true);
  EXPECT_EQ(needs_value.at("colour"), true);
  EXPECT_EQ(needs_value.at("flag"), false);
  EXPECT_EQ(needs_value.at("store"), true);
  EXPECT_FALSE(needs_value.contains("help"));
  EXPECT_FALSE(needs_value.contains("PATH"));
}

TEST_F(CommandLineTest, AMistakeIsOneLineThatNamesTheCommandAndItsHelp) {
  EXPECT_FALSE(parse({"prboe", "a"}));
  EXPECT_EQ(err_, "castore: there is no command 'prboe' (see `castore --help`)\n");
  EXPECT_FALSE(parse({"probe"}));
  EXPECT_EQ(err_, "castore probe: PATH is required (see `castore probe --help`)\n");
  EXPECT_FALSE(parse({"probe", "a", "--unknown"}));
  EXPECT_TRUE(err_.starts_with("castore probe: ") && err_.contains("--unknown")) << err_;
  EXPECT_FALSE(parse({"[x\x1b[31m"}));
  EXPECT_EQ(err_, "castore: there is no command '[x\\x1b[31m' (see `castore --help`)\n");
}

TEST_F(CommandLineTest, HelpIsASuccessOnStandardOutput) {
  for (const auto& question :
       std::vector<std::vector<const char*>>{{"--help"}, {"probe", "--help"}, {"--version"}}) {
    auto line = parse(question);
    ASSERT_FALSE(line);
    EXPECT_EQ(line.error(), ExitCode::kOk);
    EXPECT_NE(out_, "");
    EXPECT_EQ(err_, "");
  }
}

}  // namespace
}  // namespace castore::cli
