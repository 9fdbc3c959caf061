// SPDX-License-Identifier: MIT OR Apache-2.0
// What a guest sees of a store, of each kind of store: the trees that peers test with, through a
// device's queues. tests/mount/ has the same through the kernel.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "digest/blake3.h"
#include "fuse/abi.h"
#include "store/testing/must.h"
#include "stores.h"
#include "virtiofs/testing/guest_fixture.h"

namespace castore::virtiofs {
namespace {

using fuse::abi::kRootNode;
using fuse::abi::Opcode;
using fuse::testing::Line;
using store::testing::must;
using store::testing::StoreFactory;
using store::testing::TreeBuilder;

constexpr uint32_t kRoom = 1 << 16;

// As a store path's base name would be.
std::string name(char digit) {
  return std::string(32, digit) + "-test";
}

const std::string kStrange = "caf\xe9 \x01\n\xff";
const std::string kLongest(255, 'n');
const std::string kFar(4095, 't');
constexpr size_t kDepth = 300;

template <typename T>
int error_of(const fuse::testing::Answered<T>& answered) {
  return answered ? 0 : answered.error();
}

class GuestAcceptance : public testing::GuestTest,
                        public ::testing::WithParamInterface<StoreFactory> {
 protected:
  GuestAcceptance() {
    fill(store_->services());
    store_->settle();
    use(store_->services());
  }
  // Nothing of the store is left when that goes.
  ~GuestAcceptance() override {
    kernel_.reset();
    guest_.reset();
    connection_.reset();
    use(backends::memory_services());
    provider_.reset();
  }

  void fill(const store::Services& services) {
    auto put = [&](std::string_view content, bool executable = false) {
      return FileNode{store::testing::put_blob(services, content), content.size(), executable};
    };
    auto link = [](std::string target) {
      return SymlinkNode{must(SymlinkTarget::parse(std::move(target)))};
    };
    root_ = {
        {name('0'), put(store::testing::blob_a())},
        {name('1'), link(name('0'))},
        {name('2'), TreeBuilder(services).file(".keep", "").build()},
        {name('3'), store::testing::put_complicated(services)},
        {name('4'), link("/nix/store/somewhereelse")},
        {name('5'), put(store::testing::blob_b())},
        {name('6'), put(store::testing::kHelloWorld, true)},
        {"deep", store::testing::put_deep(services, kDepth, "d")},
        {"strange", TreeBuilder(services)
                        .file(kStrange, "1")
                        .file(kLongest, "2")
                        .symlink("far", kFar)
                        .file("plain", "same")
                        .file("program", "same", true)
                        .directory("empty")
                        .build()},
        {"lost-folder", DirectoryNode{store::testing::unknown_digest(), 1}},
        {"lost-file", FileNode{store::testing::another_unknown_digest(), 2, false}},
    };
    must(services.path_infos->put({},
                                  store::testing::path_info(path_, put(store::testing::blob_a()))));
  }

  fuse::abi::Attr attributes(std::string_view path) {
    return must_have(kernel_->getattr(node(path))).attr;
  }
  template <typename T>
  static T must_have(const fuse::testing::Answered<T>& answered) {
    if (!answered) throw std::runtime_error(fmt::format("errno {}", answered.error()));
    return *answered;
  }

  // All lines, got piece by piece with `room` for each.
  std::vector<Line> list(uint64_t folder, bool plus, uint32_t room = kRoom, uint64_t handle = 0) {
    std::vector<Line> all;
    for (uint64_t offset = 0;;) {
      auto lines = must_have(plus ? kernel_->readdirplus(folder, handle, offset, room)
                                  : kernel_->readdir(folder, handle, offset, room));
      if (lines.empty()) return all;
      offset = lines.back().next_offset;
      all.insert(all.end(), lines.begin(), lines.end());
    }
  }
  static std::vector<std::string> names_of(const std::vector<Line>& lines) {
    std::vector<std::string> names;
    for (const Line& line : lines) names.push_back(line.name);
    return names;
  }

  std::unique_ptr<store::testing::StoreUnderTest> store_ = GetParam().make();
  const nix::StorePath path_ = store::testing::store_path(1, "hello-2.12");
};

TEST_P(GuestAcceptance, ShowsTheAttributesOfTheModel) {
  start();
  struct Row {
    std::string path;
    mode_t mode;
    uint64_t size;
  };
  for (const Row& row :
       {Row{name('0'), S_IFREG | 0444, 2}, Row{name('1'), S_IFLNK | 0444, 37},
        Row{name('2'), S_IFDIR | 0555, 1}, Row{name('3'), S_IFDIR | 0555, 4},
        Row{name('5'), S_IFREG | 0444, 1'044'480}, Row{name('6'), S_IFREG | 0555, 12},
        Row{name('3') + "/keep/.keep", S_IFREG | 0444, 0}, Row{"strange/plain", S_IFREG | 0444, 4},
        Row{"strange/program", S_IFREG | 0555, 4}, Row{"strange/empty", S_IFDIR | 0555, 0},
        Row{"strange/" + kStrange, S_IFREG | 0444, 1},
        Row{"strange/far", S_IFLNK | 0444, kFar.size()}, Row{"lost-folder", S_IFDIR | 0555, 1},
        Row{"lost-file", S_IFREG | 0444, 2}}) {
    const fuse::abi::Attr attr = attributes(row.path);
    EXPECT_EQ(attr.mode, row.mode) << row.path;
    EXPECT_EQ(attr.size, row.size) << row.path;
    EXPECT_EQ(attr.blocks, (row.size + 511) / 512) << row.path;
    EXPECT_EQ(attr.nlink, 1u);
    EXPECT_EQ(attr.uid + attr.gid, 0u);
    EXPECT_EQ(attr.atime + attr.ctime, 0u);
    EXPECT_EQ(attr.mtime, 1u);
    EXPECT_EQ(attr.blksize, 4096u);
  }
  EXPECT_EQ(must_have(kernel_->getattr(kRootNode)).attr.mode,
            static_cast<uint32_t>(S_IFDIR | 0555));
}

TEST_P(GuestAcceptance, ReadsWhatIsStored) {
  start();
  std::string deep = "deep";
  for (size_t level = 0; level < kDepth; ++level) deep += "/d";
  const std::map<std::string, std::string> contents = {
      {name('0'), store::testing::blob_a()},
      {name('2') + "/.keep", ""},
      {name('3') + "/keep/.keep", ""},
      {name('5'), store::testing::blob_b()},
      {name('6'), std::string(store::testing::kHelloWorld)},
      {"strange/" + kStrange, "1"},
      {"strange/" + kLongest, "2"},
      {deep + "/bottom", std::string(store::testing::kHelloWorld)}};
  for (const auto& [path, content] : contents) {
    const uint64_t file = node(path);
    EXPECT_TRUE(must_have(kernel_->read(file, 0, 0, 1 << 20)) == content) << path;
    // At the end, behind it, and far behind it there is nothing.
    for (uint64_t beyond : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 62})
      EXPECT_EQ(kernel_->read(file, 0, content.size() + beyond, 100), "") << path;
    if (content.size() < 2) continue;
    EXPECT_EQ(kernel_->read(file, 0, 1, 1 << 20), content.substr(1)) << path;
    EXPECT_EQ(kernel_->read(file, 0, content.size() - 1, 100), content.substr(content.size() - 1));
    EXPECT_EQ(kernel_->lseek(file, 0, 1, SEEK_HOLE), content.size());
    EXPECT_EQ(error_of(kernel_->lseek(file, 0, content.size(), SEEK_DATA)), ENXIO);
  }
  EXPECT_EQ(error_of(kernel_->read(node(name('2')), 0, 0, 1)), EISDIR);
  EXPECT_EQ(error_of(kernel_->read(kRootNode, 0, 0, 1)), EISDIR);
}

TEST_P(GuestAcceptance, FollowsNoSymlinkItself) {
  start();
  EXPECT_EQ(kernel_->readlink(node(name('1'))), name('0'));
  EXPECT_EQ(kernel_->readlink(node(name('3') + "/aa")), "/nix/store/somewhereelse");
  EXPECT_EQ(kernel_->readlink(node("strange/far")), kFar);
  EXPECT_EQ(error_of(kernel_->readlink(node(name('0')))), EINVAL);
  EXPECT_EQ(error_of(kernel_->readlink(kRootNode)), EINVAL);
  EXPECT_EQ(error_of(kernel_->lookup(node(name('1')), "x")), ENOTDIR);
}

TEST_P(GuestAcceptance, EqualContentHasOneInodeNumber) {
  start();
  EXPECT_EQ(attributes(name('2')).ino, attributes(name('3') + "/keep").ino);
  EXPECT_EQ(attributes(name('3') + "/.keep").ino, attributes(name('3') + "/keep/.keep").ino);
  EXPECT_EQ(attributes(name('3') + "/aa").ino, attributes(name('4')).ino);
  EXPECT_NE(attributes("strange/plain").ino, attributes("strange/program").ino);
}

TEST_P(GuestAcceptance, ListsEachEntryWithItsKindInOrder) {
  start();
  for (bool plus : {false, true}) {
    const auto lines = list(node(name('3')), plus);
    EXPECT_EQ(names_of(lines), (std::vector<std::string>{".keep", "aa", "keep"}));
    const uint32_t types[] = {S_IFREG >> 12, S_IFLNK >> 12, S_IFDIR >> 12};
    for (size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i].type, types[i]);
      const auto attr = attributes(name('3') + "/" + lines[i].name);
      EXPECT_EQ(lines[i].inode, attr.ino);
      if (plus) {
        EXPECT_EQ(lines[i].entry->attr.mode, attr.mode);
      }
    }
    EXPECT_EQ(names_of(list(node(name('3') + "/keep"), plus)), std::vector<std::string>{".keep"});
    EXPECT_EQ(names_of(list(node("strange"), plus, 600)),
              (std::vector<std::string>{kStrange, "empty", "far", kLongest, "plain", "program"}));
    EXPECT_TRUE(list(node("strange/empty"), plus).empty());
  }
}

TEST_P(GuestAcceptance, FindsNoNameThatIsNotThere) {
  start();
  const uint64_t folder = node("strange");
  const std::string right = name('0');
  for (const std::string& wrong :
       {right.substr(0, 36), std::string(31, '0') + "-test", right + "x", std::string("."),
        std::string(".."), std::string("a/b"), std::string(256, 'n'), std::string(100'000, 'n')}) {
    EXPECT_EQ(error_of(kernel_->lookup(kRootNode, wrong)), ENOENT) << wrong.substr(0, 40);
    const auto below = kernel_->lookup(folder, wrong);
    ASSERT_TRUE(below) << wrong.substr(0, 40);
    EXPECT_EQ(below->nodeid, 0u) << "absent, for ever";
    EXPECT_TRUE(kernel_->lookup(kRootNode, right));
  }
}

TEST_P(GuestAcceptance, ListsTheRootOnlyWhereThatIsAllowed) {
  const auto strange = std::get<DirectoryNode>(root_.at("strange"));
  std::vector<std::string> mapped;
  for (const auto& [entry_name, entry] : root_) mapped.push_back(entry_name);
  struct Row {
    std::string what;
    std::shared_ptr<fs::RootProvider> root;
    std::vector<std::string> names;
  };
  for (const Row& row :
       {Row{"a map", fs::map_root(root_), mapped},
        Row{"registered paths", fs::path_info_root(services_.path_infos), {path_.base_name()}},
        Row{"one directory",
            fs::directory_root(must(services_.directories->get({}, strange.digest))),
            {kStrange, "empty", "far", kLongest, "plain", "program"}}}) {
    provider_ = row.root;
    for (bool allowed : {false, true}) {
      fs_options_.list_root = allowed;
      start();
      EXPECT_TRUE(kernel_->lookup(kRootNode, row.names[0])) << row.what;
      // Where names do not change, or are not to be listed, nothing has to be opened.
      const auto open = kernel_->opendir(kRootNode);
      EXPECT_TRUE(open || open.error() == ENOSYS) << row.what;
      const uint64_t handle = open ? open->fh : 0;
      for (bool plus : {false, true}) {
        if (allowed) {
          EXPECT_EQ(names_of(list(kRootNode, plus, kRoom, handle)), row.names) << row.what;
        } else {
          EXPECT_EQ(error_of(plus ? kernel_->readdirplus(kRootNode, handle, 0, kRoom)
                                  : kernel_->readdir(kRootNode, handle, 0, kRoom)),
                    EPERM)
              << row.what;
        }
      }
    }
  }
}

TEST_P(GuestAcceptance, ListsALargeRootInSmallPiecesAndAgain) {
  fs_options_.list_root = true;
  const Node file = root_.at(name('0'));
  for (int i = 0; i < 5000; ++i) root_.emplace(fmt::format("many-{:04}", i), file);
  start();
  const auto open = kernel_->opendir(kRootNode);
  ASSERT_TRUE(open);
  for (int round = 0; round < 2; ++round) {
    const auto names = names_of(list(kRootNode, false, 500, open->fh));
    EXPECT_EQ(names.size(), root_.size());
    EXPECT_EQ(std::set(names.begin(), names.end()).size(), root_.size());
  }
  EXPECT_EQ(kernel_->releasedir(kRootNode, open->fh), 0);
}

TEST_P(GuestAcceptance, ShowsDigestsAsExtendedAttributes) {
  constexpr std::string_view kFile = "user.snix.castore.blob.digest";
  constexpr std::string_view kFolder = "user.snix.castore.directory.digest";
  start();
  struct Row {
    std::string path;
    std::string_view asked;
    int error;
    std::string value;
  };
  const std::string file = store::testing::blob_a_digest().to_text();
  const std::string folder = store::testing::directory_with_keep().digest().to_text();
  for (const Row& row :
       {Row{name('0'), kFile, 0, file}, Row{name('2'), kFolder, 0, folder},
        Row{name('3') + "/keep", kFolder, 0, folder}, Row{name('0'), kFolder, ENODATA, ""},
        Row{name('2'), kFile, ENODATA, ""}, Row{name('1'), kFile, ENODATA, ""},
        Row{name('0'), "user.cheesecake", ENODATA, ""},
        Row{name('0'), "security.capability", ENODATA, ""},
        Row{"lost-folder", kFolder, 0, store::testing::unknown_digest().to_text()}}) {
    const uint64_t which = node(row.path);
    const auto value = kernel_->getxattr(which, row.asked, 1024);
    EXPECT_EQ(error_of(value), row.error) << row.path << " " << row.asked;
    if (row.error != 0) continue;
    EXPECT_EQ(value, row.value) << row.path;
    EXPECT_EQ(kernel_->getxattr_length(which, row.asked), row.value.size());
    EXPECT_EQ(error_of(kernel_->getxattr(which, row.asked, 50)), ERANGE);
    const std::string names = std::string(row.asked) + '\0';
    EXPECT_EQ(kernel_->listxattr(which, 1024), names);
    EXPECT_EQ(kernel_->listxattr_length(which), names.size());
    EXPECT_EQ(error_of(kernel_->listxattr(which, 10)), ERANGE);
  }
  EXPECT_EQ(kernel_->listxattr(node(name('1')), 1024), "");
}

TEST_P(GuestAcceptance, ShowsNoAttributesWhereTheyAreSwitchedOff) {
  fs_options_.xattr_names = fs::XattrNames::kNone;
  start();
  const uint64_t file = node(name('0'));
  EXPECT_EQ(error_of(kernel_->getxattr(file, "user.snix.castore.blob.digest", 100)), ENOSYS);
  EXPECT_EQ(error_of(kernel_->listxattr(file, 100)), ENOSYS);
}

TEST_P(GuestAcceptance, RefusesWhateverWouldChangeSomething) {
  start();
  const std::vector<std::byte> argument(200);
  for (const std::string& path : {std::string(), name('0'), name('1'), name('2')}) {
    const uint64_t which = node(path);
    for (Opcode opcode :
         {Opcode::kSetattr, Opcode::kSymlink, Opcode::kMknod, Opcode::kMkdir, Opcode::kUnlink,
          Opcode::kRmdir, Opcode::kRename, Opcode::kRename2, Opcode::kLink, Opcode::kWrite,
          Opcode::kSetxattr, Opcode::kRemovexattr, Opcode::kCreate, Opcode::kFallocate,
          Opcode::kTmpfile, Opcode::kCopyFileRange, Opcode::kCopyFileRange64})
      EXPECT_EQ(kernel_->call(opcode, which, ByteView(argument)).error, EROFS)
          << path << " opcode " << static_cast<int>(opcode);
    // A kernel that is told so has its own way, or none.
    for (Opcode opcode :
         {Opcode::kOpen, Opcode::kAccess, Opcode::kFlush, Opcode::kFsync, Opcode::kFsyncdir,
          Opcode::kSyncfs, Opcode::kGetlk, Opcode::kSetlk, Opcode::kSetlkw, Opcode::kBmap,
          Opcode::kPoll, Opcode::kSetupmapping, Opcode::kRemovemapping, Opcode::kStatx})
      EXPECT_EQ(kernel_->call(opcode, which, ByteView(argument).first(8)).error, ENOSYS)
          << path << " opcode " << static_cast<int>(opcode);
  }
  EXPECT_EQ(kernel_->read(node(name('0')), 0, 0, 10), store::testing::blob_a());
}

TEST_P(GuestAcceptance, SeesWhatIsMissingAndCannotUseIt) {
  start();
  const uint64_t folder = node("lost-folder");
  EXPECT_EQ(error_of(kernel_->readdir(folder, 0, 0, kRoom)), EIO);
  EXPECT_EQ(error_of(kernel_->readdirplus(folder, 0, 0, kRoom)), EIO);
  EXPECT_EQ(error_of(kernel_->lookup(folder, ".keep")), EIO);
  EXPECT_EQ(error_of(kernel_->read(node("lost-file"), 0, 0, 2)), EIO);
  // That is no reason not to serve the rest.
  EXPECT_EQ(kernel_->read(node(name('0')), 0, 0, 10), store::testing::blob_a());
}

TEST_P(GuestAcceptance, DescribesItself) {
  start();
  const auto totals = must_have(kernel_->statfs());
  EXPECT_EQ(totals.bsize, 4096u);
  EXPECT_EQ(totals.frsize, 4096u);
  EXPECT_EQ(totals.namelen, 255u);
  EXPECT_EQ(totals.bfree + totals.bavail + totals.ffree, 0u);
}

TEST_P(GuestAcceptance, HoldsNothingThatWasForgotten) {
  constexpr int kRounds = 20;
  // Tables of nodes keep some room that they once had; all these nodes together would need more.
  constexpr uint64_t kBytesKept = 4 << 20;
  for (int round = 0; round < kRounds; ++round) {
    TreeBuilder many(services_);
    for (int i = 0; i < 5000; ++i) {
      const std::string entry = fmt::format("{}-{}", round, i);
      many.node(entry, FileNode{blake3(entry), 1, false});
    }
    root_[fmt::format("many-{}", round)] = many.build();
  }
  start();
  for (int round = 0; round < kRounds; ++round) {
    std::map<uint64_t, uint64_t> references;
    const uint64_t folder = node(fmt::format("many-{}", round));
    ++references[folder];
    for (const Line& line : list(folder, true)) ++references[line.entry->nodeid];
    EXPECT_EQ(connection_->facts().totals.nodes, 5001u);
    kernel_->forget(folder, references.extract(folder).mapped());
    std::vector<fuse::abi::ForgetOne> batch;
    for (auto [which, count] : references) batch.push_back({.nodeid = which, .nlookup = count});
    kernel_->batch_forget(batch);
    EXPECT_EQ(connection_->facts().totals.nodes, 0u);
    EXPECT_EQ(error_of(kernel_->getattr(folder)), ENOENT);
  }
  EXPECT_LE(connection_->facts().totals.node_bytes, kBytesKept);
}

INSTANTIATE_TEST_SUITE_P(Stores, GuestAcceptance, ::testing::ValuesIn(store::testing::all_stores()),
                         store::testing::factory_name);

}  // namespace
}  // namespace castore::virtiofs
