// SPDX-License-Identifier: MIT OR Apache-2.0
// Nodes: lookup, attributes, forgetting.
#include "fs/filesystem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/log.h"
#include "fs/filesystem_fixture.h"

namespace castore::fs {
namespace {

using store::testing::DirectoryOperation;
using store::testing::must;
using ::testing::HasSubstr;

Fault fault_of(const auto& result) {
  return result.error();
}

TEST_F(FilesystemTest, FindsAFileInTheRoot) {
  root_->set(root_name('0'), put_file(store::testing::blob_a()));
  Entry entry = at(root_name('0'));
  EXPECT_EQ(entry.attributes.type, FileType::kRegular);
  EXPECT_EQ(entry.attributes.permissions, 0444);
  EXPECT_EQ(entry.attributes.size, 2u);
}

TEST_F(FilesystemTest, NamesThatAreNotThereAreNoEntry) {
  root_->set(root_name('0'), put_file(store::testing::blob_a()));
  std::string almost = root_name('0').substr(0, 36);
  EXPECT_EQ(fault_of(walk(almost)), Fault::kNoEntry);
  EXPECT_EQ(fault_of(walk(std::string(31, '0') + "-test")), Fault::kNoEntry);
  EXPECT_TRUE(walk(root_name('0')).has_value());
  EXPECT_EQ(fault_of(walk(almost)), Fault::kNoEntry);
}

TEST_F(FilesystemTest, NamesThatCannotBeAreNoEntryAndNotAskedFor) {
  for (std::string_view name : {std::string_view(""), std::string_view("."), std::string_view(".."),
                                std::string_view("a/b"), std::string_view("a\0b", 3)})
    EXPECT_EQ(fault_of(fs_->lookup(ctx_, kRootNode, name)), Fault::kNoEntry) << name;
  EXPECT_EQ(fault_of(fs_->lookup(ctx_, kRootNode, std::string(256, 'x'))), Fault::kNoEntry);
  EXPECT_EQ(root_->lookups(), 0u);
}

TEST_F(FilesystemTest, FindsDeepFilesWithoutTouchingTheirParentsFirst) {
  root_->set(root_name('3'), store::testing::put_complicated(services_));
  Entry keep = at(root_name('3') + "/keep/.keep");
  EXPECT_EQ(keep.attributes.type, FileType::kRegular);
  EXPECT_EQ(keep.attributes.permissions, 0444);
  EXPECT_EQ(keep.attributes.size, 0u);
}

TEST_F(FilesystemTest, AnyBytesMakeAName) {
  std::string longest(255, 'n');
  std::string odd = "\xff\xfe \n\\";
  root_->set("tree", tree().file(longest, "1").file(odd, "22").build());
  EXPECT_EQ(at("tree/" + longest).attributes.size, 1u);
  EXPECT_EQ(at("tree/" + odd).attributes.size, 2u);
}

TEST_F(FilesystemTest, AThousandLevelsDeep) {
  root_->set("deep", store::testing::put_deep(services_, 1000, "d"));
  std::string path = "deep";
  for (int i = 0; i < 1000; ++i) path += "/d";
  EXPECT_EQ(at(path + "/bottom").attributes.type, FileType::kRegular);
}

TEST_F(FilesystemTest, LookingIntoWhatIsNoDirectoryFails) {
  root_->set("file", put_file("x"));
  root_->set("link", symlink_to("file"));
  EXPECT_EQ(fault_of(fs_->lookup(ctx_, at("file").node, "x")), Fault::kNotDirectory);
  EXPECT_EQ(fault_of(fs_->lookup(ctx_, at("link").node, "x")), Fault::kNotDirectory);
  EXPECT_EQ(fault_of(fs_->lookup(ctx_, 987654, "x")), Fault::kNoEntry);
}

TEST_F(FilesystemTest, AttributesFollowFromTheNodeAlone) {
  Node complicated = store::testing::put_complicated(services_);
  root_->set("file", put_file(std::string(1025, 'x')));
  root_->set("program", put_file("Hello World!", true));
  root_->set("link", symlink_to(root_name('0')));
  root_->set("directory", complicated);
  mount({.mtime_s = 7, .uid = 12, .gid = 34});
  struct Expected {
    NodeId node;
    FileType type;
    uint16_t permissions;
    uint64_t size;
    uint64_t blocks;
  };
  for (const Expected& expected : {
           Expected{kRootNode, FileType::kDirectory, 0555, 0, 0},
           Expected{at("file").node, FileType::kRegular, 0444, 1025, 3},
           Expected{at("program").node, FileType::kRegular, 0555, 12, 1},
           Expected{at("link").node, FileType::kSymlink, 0444, 37, 1},
           Expected{at("directory").node, FileType::kDirectory, 0555,
                    std::get<DirectoryNode>(complicated).size, 1},
       }) {
    Attributes attributes = fs_->attributes(ctx_, expected.node).value();
    EXPECT_EQ(attributes.type, expected.type);
    EXPECT_EQ(attributes.permissions, expected.permissions);
    EXPECT_EQ(attributes.size, expected.size);
    EXPECT_EQ(attributes.blocks, expected.blocks);
    EXPECT_EQ(attributes.link_count, 1u);
    EXPECT_EQ(attributes.mtime_s, 7);
    EXPECT_EQ(attributes.uid, 12u);
    EXPECT_EQ(attributes.gid, 34u);
  }
  EXPECT_EQ(fault_of(fs_->attributes(ctx_, 987654)), Fault::kNoEntry);
}

TEST_F(FilesystemTest, TheModificationTimeIsOneUnlessAskedOtherwise) {
  EXPECT_EQ(fs_->attributes(ctx_, kRootNode)->mtime_s, 1);
}

TEST_F(FilesystemTest, ADirectorysSizeDoesNotChangeWhenItIsRead) {
  root_->set("directory", store::testing::put_complicated(services_));
  Entry entry = at("directory");
  list_all(entry.node);
  EXPECT_EQ(fs_->attributes(ctx_, entry.node)->size, entry.attributes.size);
  EXPECT_EQ(at("directory").attributes.size, entry.attributes.size);
}

TEST_F(FilesystemTest, EqualDirectoriesHaveOneInodeNumberAndANodeEach) {
  root_->set(root_name('2'), tree().file(".keep", "").build());
  root_->set(root_name('3'), store::testing::put_complicated(services_));
  Entry alone = at(root_name('2'));
  Entry inside = at(root_name('3') + "/keep");
  EXPECT_EQ(alone.attributes.inode, inside.attributes.inode);
  EXPECT_NE(alone.node, inside.node);
}

TEST_F(FilesystemTest, EqualFilesAreOneNode) {
  root_->set(root_name('3'), store::testing::put_complicated(services_));
  Entry outer = at(root_name('3') + "/.keep");
  Entry inner = at(root_name('3') + "/keep/.keep");
  EXPECT_EQ(outer.node, inner.node);
  EXPECT_EQ(outer.attributes.inode, inner.attributes.inode);
}

TEST_F(FilesystemTest, EqualSymlinksAreOneNode) {
  root_->set(root_name('3'), store::testing::put_complicated(services_));
  root_->set(root_name('4'), symlink_to("/nix/store/somewhereelse"));
  Entry inside = at(root_name('3') + "/aa");
  Entry alone = at(root_name('4'));
  EXPECT_EQ(inside.node, alone.node);
  EXPECT_EQ(inside.attributes.inode, alone.attributes.inode);
}

TEST_F(FilesystemTest, ExecutableTwinsAreTwoFiles) {
  root_->set("tree", tree().file("plain", "same").file("program", "same", true).build());
  Entry plain = at("tree/plain");
  Entry program = at("tree/program");
  EXPECT_EQ(plain.attributes.permissions, 0444);
  EXPECT_EQ(program.attributes.permissions, 0555);
  EXPECT_NE(plain.node, program.node);
  EXPECT_NE(plain.attributes.inode, program.attributes.inode);
  EXPECT_EQ(read_file(plain.node), "same");
  EXPECT_EQ(read_file(program.node), "same");
}

TEST_F(FilesystemTest, InodeNumbersAreTheSameAfterARemount) {
  root_->set("tree", store::testing::put_complicated(services_));
  auto numbers = [&] {
    std::set<uint64_t> all;
    for (std::string_view path : {"tree", "tree/.keep", "tree/aa", "tree/keep"})
      all.insert(at(path).attributes.inode);
    return all;
  };
  auto before = numbers();
  EXPECT_EQ(before.size(), 4u);
  at("tree");  // so that node ids differ
  mount();
  at("tree/keep/.keep");
  EXPECT_EQ(numbers(), before);
}

TEST_F(FilesystemTest, ReadsSymlinksVerbatim) {
  std::string longest(4095, 't');
  root_->set(root_name('1'), symlink_to(root_name('0')));
  root_->set("odd", symlink_to("..//./\xff\xfe"));
  root_->set("long", symlink_to(longest));
  EXPECT_EQ(fs_->readlink(ctx_, at(root_name('1')).node), root_name('0'));
  EXPECT_EQ(fs_->readlink(ctx_, at("odd").node), "..//./\xff\xfe");
  EXPECT_EQ(fs_->readlink(ctx_, at("long").node), longest);
  EXPECT_EQ(at("long").attributes.size, 4095u);
  EXPECT_EQ(fault_of(walk(root_name('0'))), Fault::kNoEntry);  // where it points to
}

TEST_F(FilesystemTest, OnlySymlinksAreReadAsSuch) {
  root_->set("file", put_file("x"));
  root_->set("directory", tree().build());
  EXPECT_EQ(fault_of(fs_->readlink(ctx_, at("file").node)), Fault::kInvalid);
  EXPECT_EQ(fault_of(fs_->readlink(ctx_, at("directory").node)), Fault::kInvalid);
  EXPECT_EQ(fault_of(fs_->readlink(ctx_, kRootNode)), Fault::kInvalid);
  EXPECT_EQ(fault_of(fs_->readlink(ctx_, 987654)), Fault::kNoEntry);
}

// --- names that come and go ---

TEST_F(FilesystemTest, ANewRootNameShowsAtOnce) {
  EXPECT_EQ(fault_of(walk("late")), Fault::kNoEntry);
  root_->set("late", put_file("x"));
  EXPECT_TRUE(walk("late").has_value());
}

TEST_F(FilesystemTest, ARootNameKeepsItsNodeWhileTheKernelHoldsIt) {
  root_->set("file", put_file("old"));
  root_->set("directory", tree().file("old", "").build());
  Entry file = at("file");
  Entry directory = at("directory");
  uint64_t lookups = root_->lookups();
  root_->set("file", put_file("replaced"));
  root_->remove("directory");
  EXPECT_EQ(at("file").node, file.node);
  EXPECT_EQ(at("directory").node, directory.node);
  EXPECT_TRUE(walk("directory/old").has_value());
  EXPECT_EQ(root_->lookups(), lookups);
  fs_->forget(file.node, 2);
  fs_->forget(directory.node, 3);
  EXPECT_EQ(at("file").attributes.size, 8u);
  EXPECT_EQ(fault_of(walk("directory")), Fault::kNoEntry);
}

TEST_F(FilesystemTest, AFailingRootIsAnInputOutputErrorAndNotAnAbsence) {
  root_->set("file", put_file("x"));
  root_->fail_with(Error(ErrorKind::kUnavailable, "no network"));
  EXPECT_EQ(fault_of(walk("file")), Fault::kIo);
}

TEST_F(FilesystemTest, AFixedRootIsServedFromItsDirectory) {
  Node node = tree().file("a/b", "x").symlink("l", "a").build();
  auto directory = must(services_.directories->get(ctx_, std::get<DirectoryNode>(node).digest));
  mount(directory_root(directory), {.list_root = true});
  EXPECT_EQ(at("a/b").attributes.size, 1u);
  EXPECT_EQ(fault_of(walk("c")), Fault::kNoEntry);
  EXPECT_EQ(names_of(list_all(kRootNode)), (std::vector<std::string>{"a", "l"}));
}

// --- forgetting ---

TEST_F(FilesystemTest, ForgettingAllReferencesFreesTheNode) {
  root_->set("tree", store::testing::put_complicated(services_));
  EXPECT_EQ(fs_->totals().nodes, 0u);
  Entry first = at("tree");
  Entry second = at("tree");
  Entry keep = at("tree/.keep");  // a third reference to tree
  EXPECT_EQ(second.node, first.node);
  EXPECT_EQ(fs_->totals().nodes, 2u);
  EXPECT_EQ(fs_->node_count(), 2u);
  fs_->forget(first.node, 2);
  EXPECT_TRUE(fs_->attributes(ctx_, first.node).has_value());
  fs_->forget(first.node, 1);
  EXPECT_EQ(fault_of(fs_->attributes(ctx_, first.node)), Fault::kNoEntry);
  EXPECT_TRUE(fs_->attributes(ctx_, keep.node).has_value());
  fs_->forget(keep.node, 1);
  EXPECT_EQ(fs_->totals().nodes, 0u);
  EXPECT_NE(at("tree").node, first.node);
}

TEST_F(FilesystemTest, ADirectoryGoesOnWorkingWhenItsParentIsForgottenFirst) {
  root_->set("tree", store::testing::put_complicated(services_));
  Entry parent = at("tree");
  Entry child = fs_->lookup(ctx_, parent.node, "keep").value();
  fs_->forget(parent.node, 1);
  EXPECT_TRUE(fs_->lookup(ctx_, child.node, ".keep").has_value());
  EXPECT_EQ(list_all(child.node).size(), 1u);
}

TEST_F(FilesystemTest, ForgettingTheRootOrWhatIsNotKnownDoesNothing) {
  root_->set("file", put_file("x"));
  fs_->forget(kRootNode, 100);
  fs_->forget(987654, 1);
  EXPECT_TRUE(walk("file").has_value());
}

// --- a store that fails ---

TEST_F(FilesystemTest, AMissingDirectoryCanBeStatedButNotEntered) {
  root_->set(root_name('2'), missing_directory());
  Entry entry = at(root_name('2'));
  EXPECT_EQ(entry.attributes.type, FileType::kDirectory);
  EXPECT_EQ(fault_of(fs_->lookup(ctx_, entry.node, ".keep")), Fault::kIo);
  HandleId handle = fs_->open_directory(ctx_, entry.node).value();
  EXPECT_EQ(fault_of(list_some(entry.node, handle, 0, 1)), Fault::kIo);
}

TEST_F(FilesystemTest, AMissingDirectoryIsFoundOnceItIsThere) {
  Directory directory = store::testing::directory_with_keep();
  root_->set("tree", DirectoryNode{directory.digest(), 1});
  EXPECT_EQ(fault_of(walk("tree/.keep")), Fault::kIo);
  must(services_.directories->put(ctx_, directory));
  EXPECT_TRUE(walk("tree/.keep").has_value());
}

TEST_F(FilesystemTest, FailuresAreTranslatedByWhatTheCallerCanDo) {
  root_->set("tree", store::testing::put_complicated(services_));
  NodeId node = at("tree").node;
  std::stop_source stop;
  stop.request_stop();
  Context stopped;
  stopped.stop = stop.get_token();
  Context late;
  late.deadline = std::chrono::steady_clock::now();
  struct Case {
    ErrorKind kind;
    Context ctx;
    Fault fault;
  };
  for (const Case& c : {
           Case{ErrorKind::kCancelled, stopped, Fault::kInterrupted},
           Case{ErrorKind::kCancelled, late, Fault::kTimedOut},
           Case{ErrorKind::kUnavailable, late, Fault::kTimedOut},
           Case{ErrorKind::kUnavailable, Context(), Fault::kIo},
           Case{ErrorKind::kCorrupt, Context(), Fault::kIo},
           Case{ErrorKind::kDenied, Context(), Fault::kIo},
           Case{ErrorKind::kInternal, late, Fault::kIo},
       }) {
    directories_->faults().fail_call(DirectoryOperation::kGet, 1, Error(c.kind, "on order"));
    EXPECT_EQ(fault_of(fs_->lookup(c.ctx, node, "keep")), c.fault) << to_string(c.kind);
  }
  EXPECT_TRUE(fs_->lookup(ctx_, node, "keep").has_value());
}

// Sends the log to a string while it lives.
class LogCapture {
 public:
  LogCapture() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    auto logger = std::make_shared<spdlog::logger>("test", sink);
    logger->set_pattern("%v");
    spdlog::set_default_logger(logger);
  }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  ~LogCapture() { spdlog::set_default_logger(before_); }

  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST_F(FilesystemTest, TheLogNamesPathAndDigestOfWhatFailed) {
  root_->set("tree", tree().node("a/b\n", missing_directory()).build());
  Entry entry = at("tree/a/b\n");
  LogCapture log;
  EXPECT_EQ(fault_of(fs_->lookup(ctx_, entry.node, "x")), Fault::kIo);
  EXPECT_THAT(log.text(), HasSubstr("/tree/a/b\\x0a"));
  EXPECT_THAT(log.text(), HasSubstr(store::testing::unknown_digest().to_text()));
}

TEST_F(FilesystemTest, AFailingStoreDoesNotFillTheLog) {
  root_->set("tree", missing_directory());
  NodeId node = at("tree").node;
  LogCapture log;
  constexpr int kCalls = 2000;
  for (int i = 0; i < kCalls; ++i) EXPECT_EQ(fault_of(fs_->lookup(ctx_, node, "x")), Fault::kIo);
  EXPECT_LT(std::ranges::count(log.text(), '\n'), kCalls / 2);
}

}  // namespace
}  // namespace castore::fs
