// SPDX-License-Identifier: MIT OR Apache-2.0
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <locale.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <initializer_list>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "backends/memory/memory_services.h"
#include "base/file.h"
#include "digest/blake3.h"
#include "model/limits.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"
#include "store/testing/tree_builder.h"
#include "transfer/archive_source.h"
#include "transfer/ingest.h"
#include "transfer/render_nar.h"

namespace castore::transfer {
namespace {

using store::testing::must;
using store::testing::TreeBuilder;

// Writes tar archives member by member: POSIX.1-1988 headers, as `type` '0' file, '1' hard link,
// '2' symlink, '5' folder, 'x' pax records, 'L' GNU long name.
class TarBytes {
 public:
  TarBytes& member(std::string_view name, char type, std::string_view content = "",
                   std::string_view link = "", unsigned mode = 0644) {
    std::array<char, 512> header{};
    const auto put = [&](size_t at, std::string_view text) { text.copy(&header[at], text.size()); };
    put(0, name);
    put(100, fmt::format("{:07o}", mode));
    put(124, fmt::format("{:011o}", content.size()));
    put(136, "00000000000");
    put(148, "        ");
    header[156] = type;
    put(157, link);
    put(257, std::string_view("ustar\00000", 8));
    unsigned sum = 0;
    for (char c : header) sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum) + std::string_view("\0 ", 2).data());
    bytes_.append(header.data(), header.size());
    bytes_.append(content);
    bytes_.resize((bytes_.size() + 511) / 512 * 512);
    return *this;
  }
  TarBytes& file(std::string_view name, std::string_view content, unsigned mode = 0644) {
    return member(name, '0', content, "", mode);
  }
  TarBytes& folder(std::string_view name) { return member(name, '5', "", "", 0755); }
  TarBytes& symlink(std::string_view name, std::string_view target) {
    return member(name, '2', "", target);
  }
  TarBytes& hard_link(std::string_view name, std::string_view target) {
    return member(name, '1', "", target);
  }
  // Says something about the next member in a pax header.
  TarBytes& pax(std::initializer_list<std::pair<std::string_view, std::string_view>> records) {
    std::string text;
    for (const auto& [key, value] : records) {
      // The length at the beginning counts itself.
      const size_t rest = key.size() + value.size() + 3;
      size_t whole = rest + 1;
      while (whole != rest + std::to_string(whole).size()) ++whole;
      text += fmt::format("{} {}={}\n", whole, key, value);
    }
    return member("pax", 'x', text);
  }
  TarBytes& gnu_long_name(const std::string& name) {
    return member("././@LongLink", 'L', name + '\0');
  }

  std::string ended() const { return bytes_ + std::string(1024, '\0'); }

 private:
  std::string bytes_;
};

std::string compress(std::string_view bytes, int (*add_filter)(struct archive*)) {
  std::string out(bytes.size() * 2 + 4096, '\0');
  size_t used = 0;
  struct archive* archive = ::archive_write_new();
  ::archive_write_set_format_raw(archive);
  EXPECT_EQ(add_filter(archive), ARCHIVE_OK);
  ::archive_write_set_bytes_in_last_block(archive, 1);
  EXPECT_EQ(::archive_write_open_memory(archive, out.data(), out.size(), &used), ARCHIVE_OK);
  struct archive_entry* entry = ::archive_entry_new();
  ::archive_entry_set_filetype(entry, AE_IFREG);
  EXPECT_EQ(::archive_write_header(archive, entry), ARCHIVE_OK);
  EXPECT_EQ(::archive_write_data(archive, bytes.data(), bytes.size()),
            static_cast<la_ssize_t>(bytes.size()));
  ::archive_entry_free(entry);
  ::archive_write_close(archive);
  ::archive_write_free(archive);
  out.resize(used);
  return out;
}

class IngestTar : public testing::Test {
 protected:
  Result<Ingested> try_ingest(std::string_view bytes, ArchiveRoot root = ArchiveRoot::kSingle,
                              const ArchiveLimits& limits = {}, const IngestOptions& options = {}) {
    const auto read = [&bytes](MutableByteView out) -> Result<size_t> {
      const size_t length = std::min(out.size(), bytes.size());
      bytes.copy(reinterpret_cast<char*>(out.data()), length);
      bytes.remove_prefix(length);
      return length;
    };
    return ingest_archive_bytes(ctx_, services_, read, "t.tar", root, options, limits, tally_);
  }
  Node ingest(const TarBytes& tar, ArchiveRoot root = ArchiveRoot::kSingle) {
    return must(try_ingest(tar.ended(), root)).root;
  }

  void expect_failure(std::string_view bytes, ErrorKind kind, std::string_view part,
                      ArchiveRoot root = ArchiveRoot::kSingle) {
    auto result = try_ingest(bytes, root);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind(), kind) << result.error().message();
    EXPECT_TRUE(result.error().message().contains(part)) << result.error().message();
    EXPECT_TRUE(result.error().message().starts_with("reading archive t.tar: "))
        << result.error().message();
  }

  // Trees to compare with.
  TreeBuilder tree() { return TreeBuilder(expected_services_); }

  Context ctx_;
  store::Services services_ = backends::memory_services();
  store::Services expected_services_ = backends::memory_services();
  Tally tally_;
};

TEST_F(IngestTar, DropsTheNameOfTheOneTopFolder) {
  const TarBytes tar = TarBytes()
                           .folder("top/")
                           .file("top/run", "#!", 0755)
                           .file("top/doc/a", "a")
                           .symlink("top/link", "doc/a")
                           .folder("top/empty/");
  EXPECT_EQ(ingest(tar), tree()
                             .file("run", "#!", true)
                             .file("doc/a", "a")
                             .symlink("link", "doc/a")
                             .directory("empty")
                             .build());
  EXPECT_EQ(tally_.files, 2u);
  EXPECT_EQ(tally_.directories, 3u);
  EXPECT_EQ(tally_.symlinks, 1u);
  EXPECT_EQ(tally_.bytes, 3u);
  EXPECT_EQ(tally_.blobs_new, 2u);
}

TEST_F(IngestTar, MakesMissingParentsAsIfTheyWereThere) {
  const Node with = ingest(TarBytes().folder("a/").folder("a/b/").file("a/b/c", "c"));
  EXPECT_EQ(ingest(TarBytes().file("a/b/c", "c")), with);
  EXPECT_EQ(ingest(TarBytes().file("a/b/c", "c").folder("a/b").folder("./").folder("a")), with);
}

TEST_F(IngestTar, TheWholeTopLevelCanBecomeAFolder) {
  const TarBytes tar = TarBytes().file("a", "a").file("b/c", "c").symlink("d", "a");
  EXPECT_EQ(ingest(tar, ArchiveRoot::kWhole),
            tree().file("a", "a").file("b/c", "c").symlink("d", "a").build());
  EXPECT_EQ(ingest(TarBytes(), ArchiveRoot::kWhole), tree().build());
}

TEST_F(IngestTar, AnythingButOneTopFolderIsAnErrorThatSaysHowToAskForTheWhole) {
  for (const TarBytes& tar : {TarBytes(), TarBytes().folder("./"), TarBytes().file("a", "a"),
                              TarBytes().folder("a").folder("b"), TarBytes().symlink("a", "b")}) {
    expect_failure(tar.ended(), ErrorKind::kInvalidArgument,
                   "unexpected number of top level directory entries");
    expect_failure(tar.ended(), ErrorKind::kInvalidArgument, "--tar-root=whole");
  }
}

TEST_F(IngestTar, CleansPaths) {
  const Node expected = ingest(TarBytes().file("a/b", "b"));
  for (const char* path : {"./a/b", "a//b", "a/./b", "a/x/../b", "x/../a/b", "./a/c/d/../../b"})
    EXPECT_EQ(ingest(TarBytes().file(path, "b")), expected) << path;
}

TEST_F(IngestTar, RefusesPathsThatLeadOutOfTheArchive) {
  for (const char* path : {"/a/b", "../a", "a/../../b", "..", "//a"})
    expect_failure(TarBytes().file(path, "b").ended(), ErrorKind::kInvalidArgument,
                   std::string("unable to convert path '") + path + "'");
  expect_failure(TarBytes().file("a/b", "").hard_link("a/c", "../../etc/passwd").ended(),
                 ErrorKind::kInvalidArgument, "unable to convert path '../../etc/passwd'");
}

TEST_F(IngestTar, RefusesToPutAnythingBelowAFileOrSymlink) {
  expect_failure(TarBytes().symlink("a/l", "/etc").file("a/l/passwd", "x").ended(),
                 ErrorKind::kInvalidArgument,
                 "leads through a/l, which the archive says is a symlink");
  expect_failure(TarBytes().file("a/f", "").file("a/f/x", "x").ended(), ErrorKind::kInvalidArgument,
                 "leads through a/f, which the archive says is a file");
}

TEST_F(IngestTar, OfTwoMembersAtOnePlaceTheLaterCounts) {
  const Node expected = tree().file("b", "new").build();
  EXPECT_EQ(ingest(TarBytes().file("a/b", "old", 0755).file("a/b", "new")), expected);
  EXPECT_EQ(ingest(TarBytes().symlink("a/b", "old").file("a/b", "new")), expected);
  EXPECT_EQ(ingest(TarBytes().file("a/b/c", "old").folder("a/b/d").file("a/b", "new")), expected);
  EXPECT_EQ(ingest(TarBytes().file("a/b", "old").folder("a/b").file("a/b/c", "new")),
            tree().file("b/c", "new").build());
  // What was below the first folder of that name stays gone.
  EXPECT_EQ(ingest(TarBytes().file("a/b/c", "old").file("a/b", "").file("a/b", "").folder("a/b")),
            tree().directory("b").build());
}

TEST_F(IngestTar, AHardLinkIsTheFileThatCameBefore) {
  const TarBytes tar = TarBytes()
                           .file("a/first", "content", 0755)
                           .symlink("a/sym", "first")
                           .hard_link("a/d/second", "a/first")
                           .hard_link("a/third", "./a/d/second")
                           .hard_link("a/sym2", "a/sym");
  EXPECT_EQ(ingest(tar), tree()
                             .file("first", "content", true)
                             .file("d/second", "content", true)
                             .file("third", "content", true)
                             .symlink("sym", "first")
                             .symlink("sym2", "first")
                             .build());
}

TEST_F(IngestTar, AHardLinkToSomethingThatIsNotThereIsAnError) {
  for (const char* target : {"a/later", "a", "a/missing/x"})
    expect_failure(TarBytes().folder("a").hard_link("a/l", target).file("a/later", "").ended(),
                   ErrorKind::kInvalidArgument,
                   std::string("hard link a/l: the archive has no file ") + target);
}

TEST_F(IngestTar, DevicesAndPipesAreErrorsNamingTheMember) {
  for (char type : {'3', '4', '6'})
    expect_failure(TarBytes().folder("a").member("a/special", type).ended(),
                   ErrorKind::kInvalidArgument, "unsupported tar entry a/special: it is a ");
}

TEST_F(IngestTar, KeepsTargetsByteForByte) {
  const Node root = ingest(TarBytes().symlink("a/l", "/x//../\xff"));
  EXPECT_EQ(root, tree().symlink("l", "/x//../\xff").build());
  expect_failure(TarBytes().symlink("a/l", "").ended(), ErrorKind::kInvalidArgument, "a/l");
}

// Whatever the locale of the process: some would replace or normalise names.
TEST_F(IngestTar, KeepsNamesByteForByte) {
  const std::string decomposed = "e\xcc\x81";
  const std::string composed = "\xc3\xa9";
  const std::string invalid = "\xff\xfe\x80";
  const std::string longest(kNameBytesMax - 1, 'n');
  TarBytes tar;
  TreeBuilder expected = tree();
  for (const std::string& name : {decomposed, composed, invalid}) {
    tar.file("a/ustar-" + name, "")
        .pax({{"path", "a/pax-" + name}})
        .file("short", "")
        .pax({{"linkpath", name}})
        .symlink("a/link-" + name, "short")
        .gnu_long_name("a/gnu-" + name)
        .file("short", "");
    expected.file("ustar-" + name, "").file("pax-" + name, "").file("gnu-" + name, "");
    expected.symlink("link-" + name, name);
  }
  tar.pax({{"path", "a/" + longest + "\xff"}}).file("short", "");
  expected.file(longest + "\xff", "");
  const Node root = expected.build();
  for (const char* locale : {"C", "C.UTF-8"}) {
    const locale_t chosen = ::newlocale(LC_ALL_MASK, locale, nullptr);
    if (chosen == nullptr) continue;
    const locale_t before = ::uselocale(chosen);
    EXPECT_EQ(ingest(tar), root) << locale;
    ::uselocale(before);
    ::freelocale(chosen);
  }
}

// "a/s", of 10,000 bytes. `content` begins with the map of its pieces (GNU's format 1.0).
TarBytes sparse_member(std::string_view content) {
  return TarBytes()
      .folder("a")
      .pax({{"GNU.sparse.major", "1"},
            {"GNU.sparse.minor", "0"},
            {"GNU.sparse.name", "a/s"},
            {"GNU.sparse.realsize", "10000"}})
      .file("GNUSparseFile/s", content);
}

TEST_F(IngestTar, ASparseMemberHasZerosInItsHoles) {
  // The content begins with the map: 2 pieces, of 2 bytes at 1000 and of 2 bytes at 6000.
  std::string content = "2\n1000\n2\n6000\n2\n";
  content.resize(512);
  content += "abcd";
  std::string full(10'000, '\0');
  full.replace(1000, 2, "ab").replace(6000, 2, "cd");
  EXPECT_EQ(ingest(sparse_member(content)), tree().file("s", full).build());
}

// libarchive keeps the map in memory, at ten times its size, before anybody can look at it.
TEST_F(IngestTar, AMapOfASparseFileHasALimit) {
  std::string content = "2000000\n";
  for (int i = 0; i < 2'000'000; ++i) content += "0\n0\n";
  expect_failure(sparse_member(content).ended(), ErrorKind::kExhausted,
                 "the header of a member is larger than 4 MiB");
}

TEST_F(IngestTar, LargeMembersAreStreamed) {
  const std::string content = store::testing::noise(9'000'001, 5);
  EXPECT_EQ(ingest(TarBytes().file("a/large", content).file("a/small", "s")),
            tree().file("large", content).file("small", "s").build());
  EXPECT_EQ(tally_.bytes, content.size() + 1);
}

TEST_F(IngestTar, ComputesTheNarWhenAsked) {
  const TarBytes tar = TarBytes().file("a/b", "b").symlink("a/c", "b");
  auto ingested =
      must(try_ingest(tar.ended(), ArchiveRoot::kSingle, {}, IngestOptions{.compute_nar = true}));
  EXPECT_EQ(ingested.nar, must(summarize_nar(ctx_, services_, ingested.root)));
  EXPECT_FALSE(must(try_ingest(tar.ended())).nar);
}

TEST_F(IngestTar, DecompressesWhatIsCompressed) {
  const TarBytes tar = TarBytes().file("a/b", store::testing::noise(300'000, 1));
  const Node expected = ingest(tar);
  for (auto filter : {archive_write_add_filter_gzip, archive_write_add_filter_bzip2,
                      archive_write_add_filter_xz, archive_write_add_filter_zstd,
                      archive_write_add_filter_lz4, archive_write_add_filter_compress}) {
    const std::string bytes = compress(tar.ended(), filter);
    auto ingested = try_ingest(bytes);
    ASSERT_TRUE(ingested) << ingested.error().message();
    EXPECT_EQ(ingested->root, expected);
    EXPECT_FALSE(try_ingest(bytes.substr(0, bytes.size() * 2 / 3)));
    EXPECT_FALSE(try_ingest(bytes + "garbage"));
  }
}

// libarchive itself does not compare gzip's checksum.
TEST_F(IngestTar, AByteChangedInACompressedFileIsNoticed) {
  const std::string bytes =
      compress(TarBytes().file("a/b", store::testing::noise(300'000, 1)).ended(),
               archive_write_add_filter_gzip);
  for (size_t at = bytes.size() / 4; at < bytes.size() * 3 / 4; at += 20'000) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(try_ingest(changed)) << at;
  }
}

TEST_F(IngestTar, AnEmptyInputAndOneThatIsNoArchiveAreClearErrors) {
  expect_failure("", ErrorKind::kInvalidArgument, "it is empty");
  expect_failure("hello", ErrorKind::kInvalidArgument, "it is not a tar archive");
  expect_failure(store::testing::noise(5000, 1), ErrorKind::kInvalidArgument,
                 "it is not a tar archive");
}

TEST_F(IngestTar, AnArchiveCutOffAnywhereIsAnError) {
  const std::string whole = TarBytes().folder("a").file("a/b", "content").file("a/c", "c").ended();
  must(try_ingest(whole.substr(0, whole.size() - 512)));  // one block of zeros is enough
  for (size_t length = 0; length < whole.size() - 512; length += 128)
    EXPECT_FALSE(try_ingest(whole.substr(0, length))) << length;
}

TEST_F(IngestTar, BytesAfterTheEndAreAnErrorAndZerosAreNot) {
  const std::string whole = TarBytes().folder("a").ended();
  must(try_ingest(whole + std::string(100'000, '\0')));
  expect_failure(whole + "x", ErrorKind::kCorrupt, "something after the end of the archive");
  expect_failure(whole + whole, ErrorKind::kCorrupt, "something after the end of the archive");
  expect_failure(whole + std::string(100'000, '\0') + "x", ErrorKind::kCorrupt,
                 "something after the end");
}

TEST_F(IngestTar, ADamagedHeaderIsAnError) {
  std::string bytes = TarBytes().folder("a").file("a/b", "b").ended();
  bytes[512] = 'X';
  EXPECT_FALSE(try_ingest(bytes));
}

TEST_F(IngestTar, RefusesMembersThatLieTooDeep) {
  std::string path = "d";
  for (size_t i = 1; i < kTreeDepthMax; ++i) path += "/d";
  expect_failure(TarBytes().pax({{"path", path}}).file("short", "").ended(), ErrorKind::kExhausted,
                 "levels deep");
  path.resize(path.size() - 2);
  auto ingested = must(try_ingest(TarBytes().pax({{"path", path}}).folder("short").ended(),
                                  ArchiveRoot::kWhole, {}, {.compute_nar = true}));
  EXPECT_EQ(tally_.directories, kTreeDepthMax);
}

TEST_F(IngestTar, KeepsToLimits) {
  const std::string bytes = TarBytes().file("a/b", std::string(5000, 'x')).ended();
  EXPECT_TRUE(try_ingest(bytes, ArchiveRoot::kSingle,
                         {.unpacked_bytes_max = bytes.size(), .content_bytes_max = 5000}));
  for (const ArchiveLimits& limits : {ArchiveLimits{.unpacked_bytes_max = bytes.size() - 1},
                                      ArchiveLimits{.content_bytes_max = 4999}}) {
    auto result = try_ingest(bytes, ArchiveRoot::kSingle, limits);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind(), ErrorKind::kExhausted);
  }
}

TEST_F(IngestTar, ReadsFromAPipeAndStopsWaitingForItWhenAsked) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  const std::string bytes = TarBytes().file("a/b", "content").ended();
  must(write_all(out.get(), bytes_of(bytes), "pipe"));
  std::stop_source stop;
  ctx_.stop = stop.get_token();
  auto waiting = std::async(std::launch::async, [&] {
    return ingest_archive(ctx_, services_, in.get(), "-", ArchiveRoot::kSingle, {}, tally_);
  });
  // The writer stays open: the end never comes.
  stop.request_stop();
  auto stopped = waiting.get();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().kind(), ErrorKind::kCancelled);
}

TEST_F(IngestTar, ReadsFromADescriptor) {
  UniqueFd file(::memfd_create("tar", MFD_CLOEXEC));
  must(write_at(file.get(), 0, bytes_of(TarBytes().file("a/b", "content").ended()), "memfd"));
  auto ingested =
      ingest_archive(ctx_, services_, file.get(), "t", ArchiveRoot::kSingle, {}, tally_);
  EXPECT_EQ(must(std::move(ingested)).root, tree().file("b", "content").build());
}

}  // namespace
}  // namespace castore::transfer
