// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sys/xattr.h>

#include <cerrno>
#include <variant>

#include "mount_test_base.h"
#include "store/testing/tree_builder.h"

namespace castore::mount_tests {
namespace {

constexpr const char* kFileName = "user.snix.castore.blob.digest";
constexpr const char* kFolderName = "user.snix.castore.directory.digest";

class MountedAttributes : public MountTest {
 protected:
  void mount_showing(fs::XattrNames names) {
    tree_ = store::testing::TreeBuilder(services_)
                .file("file", "content")
                .symlink("link", "file")
                .build();
    mount({{"tree", tree_}}, {.xattr_names = names});
  }

  Node tree_ = blob_a();
};

TEST_F(MountedAttributes, FilesAndFoldersShowTheirDigests) {
  mount_showing(fs::XattrNames::kSnix);
  EXPECT_EQ(*xattr_names_of(at("tree")), std::vector<std::string>{kFolderName});
  EXPECT_EQ(*xattr_names_of(at("tree/file")), std::vector<std::string>{kFileName});
  EXPECT_EQ(*xattr_of(at("tree"), kFolderName), std::get<DirectoryNode>(tree_).digest.to_text());
  EXPECT_EQ(*xattr_of(at("tree/file"), kFileName),
            std::get<FileNode>(file("content")).digest.to_text());
}

TEST_F(MountedAttributes, OlderNamesAreShownToo) {
  mount_showing(fs::XattrNames::kBoth);
  EXPECT_EQ(xattr_names_of(at("tree/file"))->size(), 2u);
  EXPECT_EQ(xattr_of(at("tree/file"), "user.tvix.castore.blob.digest")->substr(0, 3), "b3:");
}

TEST_F(MountedAttributes, OthersAreAbsent) {
  mount_showing(fs::XattrNames::kSnix);
  EXPECT_EQ(error_of(xattr_of(at("tree"), "user.cheesecake")), ENODATA);
  EXPECT_EQ(error_of(xattr_of(at("tree"), kFileName)), ENODATA);
  EXPECT_EQ(error_of(xattr_of(at("tree/file"), kFolderName)), ENODATA);
  // The kernel itself keeps user attributes off symlinks.
  EXPECT_NE(error_of(xattr_of(at("tree/link"), kFileName)), 0);
  EXPECT_TRUE(xattr_names_of(at("tree/link"))->empty());
}

TEST_F(MountedAttributes, LengthsAreToldAndKept) {
  mount_showing(fs::XattrNames::kSnix);
  std::string path = at("tree/file");
  char small[50];
  EXPECT_EQ(::getxattr(path.c_str(), kFileName, nullptr, 0), 51);
  EXPECT_EQ(::getxattr(path.c_str(), kFileName, small, sizeof small), -1);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_EQ(::listxattr(path.c_str(), nullptr, 0), 30);
  EXPECT_EQ(::listxattr(path.c_str(), small, 10), -1);
  EXPECT_EQ(errno, ERANGE);
}

TEST_F(MountedAttributes, SwitchedOffTheyAreNotSupported) {
  mount_showing(fs::XattrNames::kNone);
  EXPECT_EQ(error_of(xattr_of(at("tree/file"), kFileName)), ENOTSUP);
  auto names = xattr_names_of(at("tree/file"));
  EXPECT_TRUE(error_of(names) == ENOTSUP || (names && names->empty()));
}

}  // namespace
}  // namespace castore::mount_tests
