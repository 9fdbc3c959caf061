// SPDX-License-Identifier: MIT OR Apache-2.0
// Open directories and their entries.
#include <gtest/gtest.h>

#include <algorithm>

#include "fs/filesystem.h"
#include "fs/filesystem_fixture.h"

namespace castore::fs {
namespace {

using store::testing::DirectoryOperation;
using store::testing::must;
using Names = std::vector<std::string>;

TEST_F(FilesystemTest, RefusesToListTheRootUnlessAsked) {
  EXPECT_EQ(fs_->open_directory(ctx_, kRootNode).error(), Fault::kNotPermitted);
  EXPECT_EQ(list_some(kRootNode, 1, 0, 1).error(), Fault::kNotPermitted);
  auto fixed = std::make_shared<const Directory>(store::testing::directory_with_keep());
  mount(directory_root(fixed));
  EXPECT_EQ(fs_->open_directory(ctx_, kRootNode).error(), Fault::kNotPermitted);
  EXPECT_EQ(list_some(kRootNode, 1, 0, 1).error(), Fault::kNotPermitted);
}

TEST_F(FilesystemTest, ListsTheRootWhenAsked) {
  root_->set(root_name('0'), put_file(store::testing::blob_a()));
  mount({.list_root = true});
  auto entries = list_all(kRootNode);
  ASSERT_EQ(names_of(entries), Names{root_name('0')});
  EXPECT_EQ(entries[0].type, FileType::kRegular);
  EXPECT_EQ(entries[0].inode, at(root_name('0')).attributes.inode);
}

TEST_F(FilesystemTest, ListsADirectoryInNameOrderOverAllKinds) {
  root_->set("tree", store::testing::put_complicated(services_));
  auto entries = list_all(at("tree").node);
  ASSERT_EQ(names_of(entries), (Names{".keep", "aa", "keep"}));
  EXPECT_EQ(entries[0].type, FileType::kRegular);
  EXPECT_EQ(entries[1].type, FileType::kSymlink);
  EXPECT_EQ(entries[2].type, FileType::kDirectory);
  for (const SeenEntry& entry : entries)
    EXPECT_EQ(entry.inode, at("tree/" + entry.name).attributes.inode);
  EXPECT_EQ(names_of(list_all(at("tree/keep").node)), Names{".keep"});
}

TEST_F(FilesystemTest, ListsAnEmptyDirectory) {
  root_->set("empty", tree().build());
  EXPECT_TRUE(list_all(at("empty").node).empty());
}

TEST_F(FilesystemTest, OnlyDirectoriesAreListed) {
  root_->set("file", put_file("x"));
  NodeId file = at("file").node;
  EXPECT_EQ(fs_->open_directory(ctx_, file).error(), Fault::kNotDirectory);
  EXPECT_EQ(list_some(file, 0, 0, 1).error(), Fault::kNotDirectory);
  EXPECT_EQ(fs_->open_directory(ctx_, 987654).error(), Fault::kNoEntry);
  EXPECT_EQ(list_some(987654, 0, 0, 1).error(), Fault::kNoEntry);
}

TEST_F(FilesystemTest, DirectoriesAreListedWithoutAHandleTooButNotAChangingRoot) {
  root_->set("tree", store::testing::put_complicated(services_));
  mount({.list_root = true});
  NodeId node = at("tree").node;
  EXPECT_EQ(list_some(node, 0, 0, 10)->size(), 3u);
  EXPECT_EQ(list_some(kRootNode, 0, 0, 10).error(), Fault::kIo);
  HandleId of_another = fs_->open_directory(ctx_, node).value();
  EXPECT_EQ(list_some(kRootNode, of_another, 0, 10).error(), Fault::kIo);
}

TEST_F(FilesystemTest, ListingGoesOnFromAnyOffset) {
  root_->set("tree", store::testing::put_complicated(services_));
  NodeId node = at("tree").node;
  auto first = list_some(node, 0, 0, 1).value();
  ASSERT_EQ(names_of(first), Names{".keep"});
  EXPECT_EQ(names_of(*list_some(node, 0, first[0].next_offset, 9)), (Names{"aa", "keep"}));
  EXPECT_EQ(names_of(*list_some(node, 0, 0, 9)), (Names{".keep", "aa", "keep"}));
  EXPECT_TRUE(list_some(node, 0, 3, 9)->empty());
  EXPECT_TRUE(list_some(node, 0, 4, 9)->empty());
  EXPECT_TRUE(list_some(node, 0, UINT64_MAX, 9)->empty());
}

TEST_F(FilesystemTest, AnEntryNotTakenComesFirstInTheNextCall) {
  root_->set("tree", store::testing::put_complicated(services_));
  NodeId node = at("tree").node;
  Names offered;
  auto take_one_of_two = [&](const ListedEntry& entry) {
    offered.emplace_back(entry.name);
    return offered.size() % 2 == 1;
  };
  ASSERT_TRUE(fs_->list(ctx_, node, 0, 0, take_one_of_two));
  ASSERT_TRUE(fs_->list(ctx_, node, 0, 1, take_one_of_two));
  EXPECT_EQ(offered, (Names{".keep", "aa", "aa", "keep"}));
}

class FilesystemRootListingTest : public FilesystemTest {
 protected:
  static constexpr size_t kEntries = 5000;

  FilesystemRootListingTest() {
    FileNode file = put_file("x");
    for (size_t i = 0; i < kEntries; ++i) {
      names_.push_back(fmt::format("entry-{:05}", i));
      root_->set(names_.back(), file);
    }
    mount({.list_root = true});
  }

  // Reads the whole in pieces of `count`, as a reader with a small buffer.
  Names in_pieces(HandleId handle, size_t count) {
    Names seen;
    for (uint64_t offset = 0;;) {
      auto piece = list_some(kRootNode, handle, offset, count).value();
      if (piece.empty()) return seen;
      offset = piece.back().next_offset;
      for (const SeenEntry& entry : piece) seen.push_back(entry.name);
    }
  }

  Names names_;
};

TEST_F(FilesystemRootListingTest, GivesEachNameOnceThroughSmallPiecesAndRewinds) {
  HandleId handle = fs_->open_directory(ctx_, kRootNode).value();
  EXPECT_EQ(in_pieces(handle, 7), names_);
  EXPECT_EQ(in_pieces(handle, 1), names_);
  // Back to the middle, as seekdir does.
  auto piece = list_some(kRootNode, handle, 0, 2500).value();
  auto next = list_some(kRootNode, handle, piece[99].next_offset, 1).value();
  EXPECT_EQ(names_of(next), Names{names_[100]});
}

TEST_F(FilesystemRootListingTest, KeepsWhatItHeldWhenItWasFirstListed) {
  HandleId before = fs_->open_directory(ctx_, kRootNode).value();
  list_some(kRootNode, before, 0, 10).value();
  root_->remove(names_[0]);
  root_->set("entry-00000-new", put_file("y"));
  EXPECT_EQ(in_pieces(before, 100), names_);
  HandleId after = fs_->open_directory(ctx_, kRootNode).value();
  Names changed = names_;
  changed[0] = "entry-00000-new";
  EXPECT_EQ(in_pieces(after, 100), changed);
}

TEST_F(FilesystemRootListingTest, CountsAListingOnceHoweverManyHandlesShareIt) {
  HandleId one = fs_->open_directory(ctx_, kRootNode).value();
  HandleId two = fs_->open_directory(ctx_, kRootNode).value();
  list_some(kRootNode, one, 0, 1).value();
  const uint64_t bytes = fs_->totals().handle_bytes;
  EXPECT_GT(bytes, kEntries * names_[0].size());
  list_some(kRootNode, two, 0, 1).value();
  EXPECT_EQ(fs_->totals().handle_bytes, bytes);
  fs_->release_directory(one);
  EXPECT_EQ(fs_->totals().handle_bytes, bytes);
  fs_->release_directory(two);
  EXPECT_EQ(fs_->totals().handle_bytes, 0u);
}

// One listing of a root of any size, and no more of a root that changes between them than there is
// room for.
TEST_F(FilesystemRootListingTest, KeepsNoMoreListingsThanHandlesMayHold) {
  mount({.list_root = true, .handle_bytes_max = 100});
  HandleId first = fs_->open_directory(ctx_, kRootNode).value();
  EXPECT_EQ(in_pieces(first, 1000), names_);
  const uint64_t bytes = fs_->totals().handle_bytes;
  root_->set("entry-new", put_file("y"));
  HandleId second = fs_->open_directory(ctx_, kRootNode).value();
  EXPECT_EQ(list_some(kRootNode, second, 0, 1).error(), Fault::kTooMuchHeld);
  EXPECT_EQ(fs_->totals().handle_bytes, bytes);
  EXPECT_EQ(in_pieces(first, 1000), names_);
  fs_->release_directory(first);
  EXPECT_EQ(in_pieces(second, 1000).size(), kEntries + 1);
}

// Opening it asks nobody, so that whoever wants no more than to ask how the mount does need not
// wait for a million names.
TEST_F(FilesystemRootListingTest, AFailingRootIsOpenedAndNotListed) {
  root_->fail_with(Error(ErrorKind::kCorrupt, "a record is damaged"));
  HandleId handle = fs_->open_directory(ctx_, kRootNode).value();
  auto take = [](const ListedEntry&) { return true; };
  EXPECT_EQ(fs_->list(ctx_, kRootNode, handle, 0, take).error(), Fault::kIo);
  EXPECT_EQ(fs_->list(ctx_, kRootNode, handle, 0, take).error(), Fault::kIo) << "asked again";
}

TEST_F(FilesystemRootListingTest, AHandleListsNoOtherFolderThanItsOwn) {
  root_->set("tree", store::testing::put_complicated(services_));
  root_->set("other", tree().file("a", "a").build());
  NodeId tree_node = at("tree").node;
  NodeId other = at("other").node;
  HandleId of_root = fs_->open_directory(ctx_, kRootNode).value();
  HandleId of_tree = fs_->open_directory(ctx_, tree_node).value();
  auto take = [](const ListedEntry&) { return true; };
  auto take_plus = [](const ListedEntry&, const Entry&) { return false; };
  EXPECT_EQ(fs_->list(ctx_, kRootNode, of_tree, 0, take).error(), Fault::kIo);
  EXPECT_EQ(fs_->list(ctx_, kRootNode, kNoHandle, 0, take).error(), Fault::kIo);
  EXPECT_EQ(fs_->list(ctx_, tree_node, of_root, 0, take).error(), Fault::kIo);
  EXPECT_EQ(fs_->list_plus(ctx_, other, of_tree, 0, take_plus).error(), Fault::kIo);
  EXPECT_EQ(fs_->list(ctx_, other, 987654, 0, take).error(), Fault::kIo);
  EXPECT_TRUE(fs_->list(ctx_, kRootNode, of_root, 0, take));
  EXPECT_TRUE(fs_->list(ctx_, tree_node, of_tree, 0, take));
  EXPECT_TRUE(fs_->list(ctx_, other, kNoHandle, 0, take)) << "opened by the kernel itself";
  fs_->release_directory(of_tree);
  EXPECT_EQ(fs_->list(ctx_, tree_node, of_tree, 0, take).error(), Fault::kIo);
}

TEST_F(FilesystemRootListingTest, ListPlusHoldsAReferenceForEachEntryTakenAndNoneElse) {
  HandleId handle = fs_->open_directory(ctx_, kRootNode).value();
  // All entries are one file: one node with as many references as entries taken.
  NodeId node = 0;
  uint64_t taken = 0;
  auto take_ten = [&](const ListedEntry&, const Entry& entry) {
    if (taken == 10) return false;
    node = entry.node;
    ++taken;
    return true;
  };
  ASSERT_TRUE(fs_->list_plus(ctx_, kRootNode, handle, 0, take_ten));
  EXPECT_EQ(fs_->totals().nodes, 1u);
  fs_->forget(node, 9);
  EXPECT_EQ(fs_->totals().nodes, 1u);
  fs_->forget(node, 1);
  EXPECT_EQ(fs_->totals().nodes, 0u);
}

TEST_F(FilesystemTest, ARootNameThatIsNoNameIsLeftOut) {
  root_->set("good", put_file("x"));
  root_->set("bad/name", put_file("x"));
  mount({.list_root = true});
  EXPECT_EQ(names_of(list_all(kRootNode)), Names{"good"});
}

TEST_F(FilesystemTest, ListPlusGivesTheEntriesThatLookupGives) {
  root_->set("tree", store::testing::put_complicated(services_));
  root_->set("link", symlink_to("tree"));
  mount({.list_root = true});
  for (NodeId folder : {kRootNode, at("tree").node}) {
    HandleId handle = fs_->open_directory(ctx_, folder).value();
    size_t count = 0;
    auto take = [&](const ListedEntry& listed, const Entry& entry) {
      Entry looked_up = fs_->lookup(ctx_, folder, listed.name).value();
      EXPECT_EQ(looked_up.node, entry.node);
      EXPECT_EQ(looked_up.attributes.inode, entry.attributes.inode);
      EXPECT_EQ(listed.inode, entry.attributes.inode);
      EXPECT_EQ(listed.type, entry.attributes.type);
      EXPECT_EQ(listed.next_offset, ++count);
      return true;
    };
    ASSERT_TRUE(fs_->list_plus(ctx_, folder, handle, 0, take));
    EXPECT_GT(count, 1u);
  }
}

TEST_F(FilesystemTest, AnEntryThatListPlusCannotPlaceHoldsNoReference) {
  root_->set("tree", store::testing::put_complicated(services_));
  NodeId node = at("tree").node;
  ASSERT_TRUE(fs_->list_plus(ctx_, node, 0, 0, [](auto&, auto&) { return false; }));
  EXPECT_EQ(fs_->totals().nodes, 1u);
}

TEST_F(FilesystemTest, ARootNameListedWithItsNodeKeepsIt) {
  root_->set("file", put_file("old"));
  mount({.list_root = true});
  HandleId handle = fs_->open_directory(ctx_, kRootNode).value();
  NodeId listed = 0;
  ASSERT_TRUE(fs_->list_plus(ctx_, kRootNode, handle, 0, [&](auto&, const Entry& entry) {
    listed = entry.node;
    return true;
  }));
  root_->set("file", put_file("replaced"));
  EXPECT_EQ(at("file").node, listed);
}

class FilesystemLargeDirectoryTest : public FilesystemTest {
 protected:
  static constexpr size_t kEntries = 200'000;

  FilesystemLargeDirectoryTest() {
    // Made once: it takes longer than the tests.
    static const Directory directory = large_directory();
    root_->set("large", DirectoryNode{must(services_.directories->put(ctx_, directory)), kEntries});
    node_ = at("large").node;
  }

  static std::string name(size_t i) { return fmt::format("file-{:06}", i); }
  static Directory large_directory() {
    DirectoryBuilder builder;
    for (size_t i = 0; i < kEntries; ++i)
      must(builder.add(name(i), FileNode{store::testing::unknown_digest(), i, false}));
    return must(builder.build());
  }
  uint64_t fetches() { return directories_->faults().calls(DirectoryOperation::kGet); }

  NodeId node_ = 0;
};

TEST_F(FilesystemLargeDirectoryTest, IsFetchedOnceForManyLookups) {
  for (size_t i = 0; i < kEntries; i += 97) {
    auto entry = fs_->lookup(ctx_, node_, name(i));
    ASSERT_TRUE(entry.has_value());
    ASSERT_EQ(entry->attributes.size, i);
  }
  EXPECT_EQ(fs_->lookup(ctx_, node_, "file-2").error(), Fault::kNoEntry);
  EXPECT_EQ(fetches(), 1u);
}

TEST_F(FilesystemLargeDirectoryTest, IsListedFromTheMiddleByVisitingOnlyWhatIsAsked) {
  for (size_t i = 0; i < kEntries; i += 1009) {
    size_t offered = 0;
    ASSERT_TRUE(fs_->list(ctx_, node_, 0, i, [&](const ListedEntry& entry) {
      EXPECT_EQ(entry.name, name(i + offered));
      return ++offered < 3;
    }));
    ASSERT_EQ(offered, std::min<size_t>(3, kEntries - i));
  }
  EXPECT_EQ(fetches(), 1u);
  EXPECT_EQ(fs_->totals().nodes, 1u);
}

TEST_F(FilesystemLargeDirectoryTest, ForgettingEveryEntryLeavesNone) {
  std::vector<NodeId> nodes;
  ASSERT_TRUE(fs_->list_plus(ctx_, node_, 0, 0, [&](auto&, const Entry& entry) {
    nodes.push_back(entry.node);
    return true;
  }));
  EXPECT_EQ(nodes.size(), kEntries);
  EXPECT_EQ(fs_->totals().nodes, kEntries + 1);
  for (NodeId node : nodes) fs_->forget(node, 1);
  EXPECT_EQ(fs_->totals().nodes, 1u);
}

}  // namespace
}  // namespace castore::fs
