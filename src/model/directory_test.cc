// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/directory.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hex.h"
#include "digest/blake3.h"

namespace castore {
namespace {

constexpr auto kDocumented = SizeConvention::kDocumented;
constexpr auto kDoubled = SizeConvention::kDoubled;

struct Entry {
  std::string name;
  Node node;
};

Directory make(const std::vector<Entry>& entries) {
  DirectoryBuilder builder;
  for (const Entry& entry : entries) EXPECT_TRUE(builder.add(entry.name, entry.node));
  auto built = builder.build();
  EXPECT_TRUE(built);
  return *built;
}

Node file(std::string_view content, bool executable = false) {
  return FileNode{blake3(content), content.size(), executable};
}
Node symlink(std::string target) {
  return SymlinkNode{*SymlinkTarget::parse(std::move(target))};
}
Node node_of(const Directory& directory, SizeConvention convention) {
  return DirectoryNode{directory.digest(), directory.size(convention)};
}

Directory with_keep() {
  return make({{".keep", file("")}});
}
Directory complicated(SizeConvention convention) {
  return make({{".keep", file("")},
               {"aa", symlink("/nix/store/somewhereelse")},
               {"keep", node_of(with_keep(), convention)}});
}
Directory directory_b() {
  return make({{"a", node_of(Directory(), kDocumented)}});
}
Directory mixed(SizeConvention convention) {
  Directory bin = make({{"run", file("#!/bin/sh\nexit 0\n", true)}});
  Directory doc = make({{"a", file("a")}, {"b", symlink("a")}});
  return make({{"README", file("Hello World!")},
               {"bin", node_of(bin, convention)},
               {"doc", node_of(doc, convention)},
               {"z", symlink("bin/run")}});
}

std::string hex(const Directory& directory) {
  return hex_encode(directory.encoded().view());
}

TEST(DirectoryEncodingTest, TheEmptyDirectoryIsNoBytes) {
  EXPECT_EQ(hex(Directory()), "");
  EXPECT_EQ(Directory().digest().to_hex(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  EXPECT_EQ(make({}), Directory());
}

TEST(DirectoryEncodingTest, ADirectoryWithAnEmptyFile) {
  EXPECT_EQ(hex(with_keep()),
            "12290a052e6b6565701220"
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  EXPECT_EQ(with_keep().digest().to_hex(),
            "8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e");
  EXPECT_EQ(with_keep().digest().to_text(), "blake3-i1tdZCtka7jtUEsIYsOUE+h+V0kUl9570HWVP3uDgQ4=");
}

TEST(DirectoryEncodingTest, ADirectoryOfAllKindsDependsOnTheSizeConvention) {
  const std::string before =
      "0a2a0a046b6565701220"
      "8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e18";
  const std::string after =
      "12290a052e6b6565701220"
      "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
      "1a1e0a02616112182f6e69782f73746f72652f736f6d657768657265656c7365";
  EXPECT_EQ(hex(complicated(kDocumented)), before + "01" + after);
  EXPECT_EQ(hex(complicated(kDoubled)), before + "02" + after);
  EXPECT_EQ(complicated(kDocumented).digest().to_hex(),
            "3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a");
  EXPECT_EQ(complicated(kDoubled).digest().to_hex(),
            "424a7f6ce08d805d15b428062faae96299a1675d708c3a39261afe38cdd04feb");
  EXPECT_EQ(complicated(kDocumented).size(kDocumented), 4u);
  EXPECT_EQ(complicated(kDoubled).size(kDoubled), 8u);
}

TEST(DirectoryEncodingTest, DirectoriesOfEmptyDirectories) {
  const std::string empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
  EXPECT_EQ(hex(directory_b()), "0a250a01611220" + empty);
  EXPECT_EQ(directory_b().digest().to_hex(),
            "8701f4722d8dae7f2c40fa003331b8437a3825f9e1bfd3a77998c64cc226b9cc");

  Directory c =
      make({{"a", node_of(Directory(), kDoubled)}, {"a'", node_of(Directory(), kDoubled)}});
  EXPECT_EQ(hex(c), "0a250a01611220" + empty + "0a260a0261271220" + empty);
  EXPECT_EQ(c.digest().to_hex(),
            "78eb200ae0cc95d4ea954655fbcf91e285013a261310e161927f2401d2bca803");
  EXPECT_EQ(c.size(kDocumented), 2u);
  EXPECT_EQ(c.size(kDoubled), 4u);
}

TEST(DirectoryEncodingTest, ADirectoryOfDirectories) {
  auto d = [](SizeConvention convention) {
    return make(
        {{"a", node_of(Directory(), convention)}, {"b", node_of(directory_b(), convention)}});
  };
  const std::string before =
      "0a250a01611220af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
      "0a270a016212208701f4722d8dae7f2c40fa003331b8437a3825f9e1bfd3a77998c64cc226b9cc18";
  EXPECT_EQ(hex(d(kDocumented)), before + "01");
  EXPECT_EQ(hex(d(kDoubled)), before + "02");
  EXPECT_EQ(d(kDocumented).digest().to_hex(),
            "99922a5c1801805287a647af73bca0ed7352a5f7f373e54992795bcc4a235213");
  EXPECT_EQ(d(kDoubled).digest().to_hex(),
            "76cd8b55b37333961c1778ba997e57df92e219926ae5a66c414b810331a77603");
  EXPECT_EQ(d(kDocumented).size(kDocumented), 3u);
  EXPECT_EQ(d(kDoubled).size(kDoubled), 6u);
}

TEST(DirectoryEncodingTest, ADirectoryWithOneFile) {
  Directory directory = make({{"hello.txt", file("Hello World!")}});
  EXPECT_EQ(hex(directory),
            "122f0a0968656c6c6f2e7478741220"
            "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c180c");
  EXPECT_EQ(directory.digest().to_hex(),
            "ad6ba6e317d73187dbf6458337cfba3cec897ae188cca70cc5a511f04ed0de27");
}

TEST(DirectoryEncodingTest, AMixedTree) {
  EXPECT_EQ(hex(mixed(kDocumented)),
            "0a290a0362696e1220b6a2098babe98b5236feb2f0a4baeddb747eb13ff26dd8d72c0b4b369782e1ec1801"
            "0a290a03646f631220a155e63ed78b38846bdcd6422154be34027758d17b91d94334238ab12531ac671802"
            "122c0a06524541444d4512205ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b347"
            "0c180c1a0c0a017a120762696e2f72756e");
  EXPECT_EQ(mixed(kDocumented).digest().to_hex(),
            "a639d60a1ed2e5998b6c1e3a4b7b723b20bfa4ffdb8c493edf6ecdd71f451bcc");
  EXPECT_EQ(mixed(kDoubled).digest().to_hex(),
            "a981e0e17caeca1573ffcbb3ca42deba3bf891f45098402fa56319c9aad4dce8");
  EXPECT_EQ(mixed(kDocumented).size(kDocumented), 7u);
  EXPECT_EQ(mixed(kDoubled).size(kDoubled), 14u);
}

TEST(DirectorySizeTest, BothConventionsCountTheKnownCases) {
  struct Case {
    std::vector<Entry> entries;
    uint64_t documented;
    uint64_t doubled;
  };
  Node child = DirectoryNode{Digest(), 0};
  Node child_of_4 = DirectoryNode{Digest(), 4};
  Node file_of_42 = FileNode{Digest(), 42, false};
  for (const Case& c : {
           Case{{}, 0, 0},
           Case{{{"a", child}}, 1, 2},
           Case{{{"a", child_of_4}}, 5, 6},
           Case{{{"a", file_of_42}}, 1, 2},
           Case{{{"a", symlink("t")}}, 1, 2},
           Case{{{"a", child_of_4}, {"b", file_of_42}, {"c", symlink("t")}}, 7, 10},
       }) {
    Directory directory = make(c.entries);
    EXPECT_EQ(directory.size(kDocumented), c.documented) << hex(directory);
    EXPECT_EQ(directory.size(kDoubled), c.doubled) << hex(directory);
  }
}

TEST(DirectorySizeTest, OverflowGivesNothing) {
  EXPECT_EQ(directory_size(kDocumented, 1, UINT64_MAX - 1), UINT64_MAX);
  EXPECT_EQ(directory_size(kDocumented, 1, UINT64_MAX), std::nullopt);
  EXPECT_EQ(directory_size(kDocumented, 2, 2 * (UINT64_MAX / 2)), std::nullopt);
  EXPECT_EQ(directory_size(kDoubled, 1, UINT64_MAX - 2), UINT64_MAX);
  EXPECT_EQ(directory_size(kDoubled, 1, UINT64_MAX - 1), std::nullopt);
  EXPECT_EQ(directory_size(kDoubled, UINT64_MAX / 2 + 1, 0), std::nullopt);
}

TEST(DirectorySizeTest, AParentMayRecordTheSizeOfAnyConvention) {
  EXPECT_TRUE(Directory().accepts_recorded_size(0));
  EXPECT_FALSE(Directory().accepts_recorded_size(1));
  EXPECT_FALSE(Directory().accepts_recorded_size(42));

  // Entries 2, of which one directory whose own entries were counted as 4.
  Directory directory = make({{"a", DirectoryNode{Digest(), 4}}, {"b", file("b")}});
  EXPECT_FALSE(directory.accepts_recorded_size(5));
  EXPECT_TRUE(directory.accepts_recorded_size(6));  // documented
  EXPECT_TRUE(directory.accepts_recorded_size(7));  // directories count two, as peers once did
  EXPECT_TRUE(directory.accepts_recorded_size(8));  // doubled
  EXPECT_FALSE(directory.accepts_recorded_size(9));
}

TEST(DirectoryTest, EntriesHaveTheirFields) {
  Directory directory = mixed(kDocumented);
  ASSERT_EQ(directory.entry_count(), 4u);
  DirectoryEntry readme = directory.entry(0);
  EXPECT_EQ(readme.name, "README");
  EXPECT_EQ(readme.kind, NodeKind::kFile);
  EXPECT_EQ(readme.digest, blake3("Hello World!"));
  EXPECT_EQ(readme.size, 12u);
  EXPECT_FALSE(readme.executable);
  EXPECT_EQ(readme.to_node(), file("Hello World!"));
  DirectoryEntry doc = directory.entry(2);
  EXPECT_EQ(doc.name, "doc");
  EXPECT_EQ(doc.kind, NodeKind::kDirectory);
  EXPECT_EQ(doc.size, 2u);
  DirectoryEntry z = directory.entry(3);
  EXPECT_EQ(z.kind, NodeKind::kSymlink);
  EXPECT_EQ(z.target, "bin/run");
  EXPECT_EQ(z.to_node(), symlink("bin/run"));
}

TEST(DirectoryTest, LookupFindsExactlyTheNamesThatAreThere) {
  Directory directory = mixed(kDocumented);
  for (std::string_view name : {"README", "bin", "doc", "z"}) {
    auto found = directory.lookup(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->name, name);
  }
  for (std::string_view name : {"", "A", "READM", "README0", "bi", "bina", "c", "y", "z0", "\xff"})
    EXPECT_FALSE(directory.lookup(name)) << name;
  EXPECT_FALSE(Directory().lookup("a"));
}

TEST(DirectoryTest, UpperBoundIsWhereAListingGoesOn) {
  Directory directory = mixed(kDocumented);  // README bin doc z
  EXPECT_EQ(directory.upper_bound(""), 0u);
  EXPECT_EQ(directory.upper_bound("README"), 1u);
  EXPECT_EQ(directory.upper_bound("README0"), 1u);
  EXPECT_EQ(directory.upper_bound("a"), 1u);
  EXPECT_EQ(directory.upper_bound("bin"), 2u);
  EXPECT_EQ(directory.upper_bound("y"), 3u);
  EXPECT_EQ(directory.upper_bound("z"), 4u);
  EXPECT_EQ(directory.upper_bound("zz"), 4u);
  EXPECT_EQ(Directory().upper_bound("a"), 0u);
}

TEST(DirectoryTest, CopiesShareAndOutliveTheOriginal) {
  Directory copy;
  {
    Directory original = mixed(kDocumented);
    copy = original;
    EXPECT_EQ(copy.encoded().data(), original.encoded().data());
  }
  EXPECT_EQ(copy.lookup("z")->target, "bin/run");
}

TEST(DirectoryTest, EqualityIsThatOfTheEncoding) {
  EXPECT_EQ(mixed(kDocumented), mixed(kDocumented));
  EXPECT_NE(mixed(kDocumented), mixed(kDoubled));
  EXPECT_NE(make({{"a", file("x")}}), make({{"a", file("x", true)}}));
}

}  // namespace
}  // namespace castore
