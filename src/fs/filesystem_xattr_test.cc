// SPDX-License-Identifier: MIT OR Apache-2.0
#include <gtest/gtest.h>

#include "fs/filesystem.h"
#include "fs/filesystem_fixture.h"

namespace castore::fs {
namespace {

using namespace std::string_literals;

class FilesystemXattrTest : public FilesystemTest {
 protected:
  FilesystemXattrTest() {
    root_->set("file", put_file(store::testing::blob_a()));
    root_->set("directory", tree().file(".keep", "").build());
    root_->set("link", symlink_to("file"));
  }
  void mount_with(XattrNames names) { mount({.xattr_names = names}); }
  FsResult<std::string> get(std::string_view path, std::string_view name) {
    return fs_->get_xattr(ctx_, at(path).node, name);
  }
  FsResult<std::string> names(std::string_view path) {
    return fs_->list_xattr(ctx_, at(path).node);
  }
};

TEST_F(FilesystemXattrTest, ShowsTheDigestByOneName) {
  mount_with(XattrNames::kSnix);
  EXPECT_EQ(names("file"), "user.snix.castore.blob.digest\0"s);
  EXPECT_EQ(get("file", "user.snix.castore.blob.digest"),
            store::testing::blob_a_digest().to_text());
  EXPECT_EQ(names("directory"), "user.snix.castore.directory.digest\0"s);
  EXPECT_EQ(get("directory", "user.snix.castore.directory.digest"),
            store::testing::directory_with_keep().digest().to_text());
}

TEST_F(FilesystemXattrTest, TheOlderNamesCarryTheOlderPrefix) {
  mount_with(XattrNames::kTvix);
  EXPECT_EQ(names("file"), "user.tvix.castore.blob.digest\0"s);
  EXPECT_EQ(names("directory"), "user.tvix.castore.directory.digest\0"s);
  std::string text = store::testing::blob_a_digest().to_text();
  EXPECT_EQ(get("file", "user.tvix.castore.blob.digest"), "b3:" + text.substr(7));
  EXPECT_EQ(get("file", "user.snix.castore.blob.digest").error(), Fault::kNoAttribute);
}

TEST_F(FilesystemXattrTest, BothFamiliesAtOnce) {
  mount_with(XattrNames::kBoth);
  EXPECT_EQ(names("file"), "user.snix.castore.blob.digest\0user.tvix.castore.blob.digest\0"s);
  EXPECT_TRUE(get("file", "user.snix.castore.blob.digest").has_value());
  EXPECT_TRUE(get("directory", "user.tvix.castore.directory.digest").has_value());
}

TEST_F(FilesystemXattrTest, WhatANodeDoesNotHaveIsNoAttribute) {
  mount_with(XattrNames::kBoth);
  EXPECT_EQ(get("file", "user.cheesecake").error(), Fault::kNoAttribute);
  EXPECT_EQ(get("file", "user.snix.castore.directory.digest").error(), Fault::kNoAttribute);
  EXPECT_EQ(get("directory", "user.snix.castore.blob.digest").error(), Fault::kNoAttribute);
  EXPECT_EQ(get("link", "user.snix.castore.blob.digest").error(), Fault::kNoAttribute);
  EXPECT_EQ(names("link"), "");
  for (NodeId node : {kRootNode, NodeId{987654}}) {
    EXPECT_EQ(fs_->get_xattr(ctx_, node, "user.snix.castore.directory.digest").error(),
              Fault::kNoAttribute);
    EXPECT_EQ(fs_->list_xattr(ctx_, node), "");
  }
}

TEST_F(FilesystemXattrTest, SwitchedOffTheKernelNeedNotAskAgain) {
  mount_with(XattrNames::kNone);
  EXPECT_EQ(get("file", "user.snix.castore.blob.digest").error(), Fault::kNotImplemented);
  EXPECT_EQ(names("file").error(), Fault::kNotImplemented);
}

}  // namespace
}  // namespace castore::fs
