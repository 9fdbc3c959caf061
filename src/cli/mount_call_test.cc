// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/mount_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <string>
#include <vector>

namespace castore::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Words = std::vector<std::string>;

Result<MountCall> read(std::vector<const char*> arguments) {
  static const LongOption kOffered[] = {
      {"root", true},     {"list-root", false},  {"show-xattr", false},
      {"threads", true},  {"foreground", false}, {"store", true},
      {"log-file", true}, {"progress", true},    {"allow-other", false},
  };
  arguments.insert(arguments.begin(), "/sbin/mount.castore");
  return read_mount_call(arguments, kOffered);
}

// What `castore mount` is given for these options, without "castore mount" and the target.
Words options_for(const char* options, const char* source = "none") {
  auto call = read({source, "/mnt", "-o", options});
  if (!call) return {"error: " + call.error().message()};
  Words words = call->command_line;
  EXPECT_GE(words.size(), 4u);
  EXPECT_EQ(Words(words.begin(), words.begin() + 2), (Words{"castore", "mount"}));
  EXPECT_EQ(Words(words.end() - 2, words.end()), (Words{"--", "/mnt"}));
  return {words.begin() + 2, words.end() - 2};
}

std::string error_for(const char* options, const char* source = "none") {
  auto call = read({source, "/mnt", "-o", options});
  return call ? "" : call.error().message();
}

TEST(MountCall, EveryOptionOfCastoreMountMayStandAfterO) {
  EXPECT_THAT(options_for("ro,root=blake3-x=/a,store=/s,allow_other,threads=3,log-file=/l"),
              ElementsAre("--root=blake3-x=/a", "--store=/s", "--allow-other", "--threads=3",
                          "--log-file=/l"));
  EXPECT_THAT(options_for("list-root,show_xattr=false"),
              ElementsAre("--list-root", "--show-xattr=false"));
}

TEST(MountCall, OptionsOfAllFileSystemsAreUnderstood) {
  EXPECT_THAT(options_for("defaults,ro,noauto,auto,nofail,_netdev,user,users,user=joe,nouser,"
                          "nosuid,nodev,noatime,relatime,exec,silent,x-systemd.automount,"
                          "x-systemd.idle-timeout=60,X-mount.mkdir,comment=for me,,uhelper=hal"),
              IsEmpty());
}

TEST(MountCall, CommasMayStandInQuotes) {
  EXPECT_THAT(options_for("store=\"/a,b\",ro"), ElementsAre("--store=/a,b"));
  EXPECT_THAT(error_for("store=\"/a,b"), HasSubstr("quotation mark"));
}

TEST(MountCall, TheSourceMayBeWhatTheMountTableShows) {
  EXPECT_THAT(options_for("ro", "castore:/var/lib/castore"),
              ElementsAre("--store=/var/lib/castore"));
  EXPECT_THAT(options_for("ro", "castore:blake3-x="), ElementsAre("--root=blake3-x="));
  EXPECT_THAT(options_for("ro", "/nix/store/x-y"), ElementsAre("--root=/nix/store/x-y"));
  EXPECT_THAT(options_for("ro", "castore"), IsEmpty());
  EXPECT_THAT(options_for("ro,root=x", "castore:x"), ElementsAre("--root=x"));
  EXPECT_THAT(error_for("ro,root=y", "castore:x"), HasSubstr("castore:x and option root=y"));
}

TEST(MountCall, AnUnknownOptionNamesTheKnownOnes) {
  std::string error = error_for("ro,rooot=x");
  EXPECT_THAT(error, HasSubstr("'rooot'"));
  EXPECT_THAT(error, HasSubstr("root=, list_root, show_xattr, threads="));
  EXPECT_THAT(error, Not(HasSubstr("foreground")));
  EXPECT_THAT(error_for("ro,foreground"), HasSubstr("'foreground'"));
}

TEST(MountCall, ASloppyMountPassesOverUnknownOptions) {
  auto call = read({"none", "/mnt", "-s", "-o", "ro,vers=4,root=x"});
  ASSERT_TRUE(call);
  EXPECT_THAT(call->command_line, ElementsAre("castore", "mount", "--root=x", "--", "/mnt"));
}

TEST(MountCall, ValuesThatAreMissingAreAskedFor) {
  EXPECT_THAT(error_for("root"), HasSubstr("root=..."));
  EXPECT_THAT(error_for("root="), HasSubstr("root=..."));
  EXPECT_THAT(error_for("list_root="), HasSubstr("list_root=..."));
}

TEST(MountCall, AWritableMountIsReadOnlyWithAWarning) {
  EXPECT_THAT(read({"none", "/mnt"})->warnings, ElementsAre(HasSubstr("read-only")));
  EXPECT_THAT(read({"none", "/mnt", "-o", "ro,rw"})->warnings, ElementsAre(HasSubstr("read-only")));
  EXPECT_THAT(read({"none", "/mnt", "-o", "rw,ro"})->warnings, IsEmpty());
}

TEST(MountCall, WhatAMountCannotHaveIsSaid) {
  EXPECT_THAT(read({"none", "/mnt", "-o", "ro,suid,dev"})->warnings,
              ElementsAre(HasSubstr("'suid'"), HasSubstr("'dev'")));
  EXPECT_THAT(error_for("ro,remount"), HasSubstr("unmount"));
}

TEST(MountCall, RestrictionsAreSetOnTheMount) {
  EXPECT_EQ(read({"none", "/mnt", "-o", "ro,noexec"})->attributes, MOUNT_ATTR_NOEXEC);
  EXPECT_EQ(read({"none", "/mnt", "-o", "ro,noexec,exec"})->attributes, 0u);
  EXPECT_EQ(read({"none", "/mnt", "-o", "ro,nosymfollow,noexec"})->attributes,
            static_cast<uint64_t>(MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NOEXEC));
}

TEST(MountCall, FlagsMayStandTogetherAndAnywhere) {
  auto call = read({"-fv", "-orO,ro", "-s", "none", "-n", "/mnt", "-t", "castore", "-N/proc/1/ns"});
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_TRUE(call->fake);
  EXPECT_TRUE(call->verbose);
  EXPECT_EQ(call->mount_namespace, "/proc/1/ns");
  EXPECT_EQ(call->target, "/mnt");
  EXPECT_THAT(call->command_line, ElementsAre("castore", "mount", "--", "/mnt"));
}

TEST(MountCall, AWrongCommandLineShowsTheRightOne) {
  for (const auto& wrong : std::vector<std::vector<const char*>>{{},
                                                                 {"none"},
                                                                 {"none", "/mnt", "more"},
                                                                 {"none", "/mnt", "-o"},
                                                                 {"none", "/mnt", "-x"}}) {
    auto call = read(wrong);
    ASSERT_FALSE(call);
    EXPECT_EQ(call.error().kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(call.error().message(), HasSubstr("mount.castore SOURCE TARGET"));
  }
}

TEST(MountCall, ATargetThatLooksLikeAnOptionStaysATarget) {
  auto call = read({"none", "./-x"});
  ASSERT_TRUE(call);
  EXPECT_THAT(call->command_line, ElementsAre("castore", "mount", "--", "./-x"));
}

}  // namespace
}  // namespace castore::cli
