// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/vhost_user_program.h"

#include <gtest/gtest.h>

#include <string>

namespace castore::cli {
namespace {

std::vector<std::string> words(std::vector<const char*> arguments) {
  const auto with = with_command(arguments);
  return {with.begin(), with.end()};
}

TEST(VhostUserProgram, ItsNameStandsForTheCommand) {
  using Words = std::vector<std::string>;
  for (const char* program : {"castore-virtiofs", "/usr/libexec/castore-virtiofs"})
    EXPECT_EQ(words({program, "--fd=3"}), (Words{program, "virtiofs", "--fd=3"}));
  for (const char* program : {"castore", "/castore-virtiofs/castore", "castore-virtiofs/", ""})
    EXPECT_EQ(words({program, "--fd=3"}), (Words{program, "--fd=3"}));
  EXPECT_EQ(words({}), Words());
}

}  // namespace
}  // namespace castore::cli
