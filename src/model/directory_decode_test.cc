// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What Directory::decode refuses, and which fault it names. The messages are written here by hand,
// without the encoder.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/hex.h"
#include "base/varint.h"
#include "digest/blake3.h"
#include "model/directory.h"
#include "model/limits.h"

namespace castore {
namespace {

using namespace std::string_literals;
using Code = DirectoryError::Code;

const std::string kZeroDigest(32, '\0');

std::string varint(uint64_t value) {
  std::string out;
  append_varint(out, value);
  return out;
}

// A length-delimited field, whatever its length.
std::string field(int number, const std::string& bytes) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string number_field(int number, uint64_t value) {
  return varint(static_cast<uint64_t>(number) << 3) + varint(value);
}

std::string optional_field(int number, const std::string& bytes) {
  return bytes.empty() ? "" : field(number, bytes);
}

std::string directory(const std::string& name, uint64_t size = 42,
                      const std::string& digest = kZeroDigest) {
  return field(1, optional_field(1, name) + optional_field(2, digest) +
                      (size == 0 ? "" : number_field(3, size)));
}
std::string file(const std::string& name, const std::string& digest = kZeroDigest) {
  return field(2, optional_field(1, name) + optional_field(2, digest) + number_field(3, 42));
}
std::string symlink(const std::string& name, const std::string& target = "foo") {
  return field(3, optional_field(1, name) + optional_field(2, target));
}

struct Refused {
  Code code;
  std::string message;
};

std::optional<Refused> refused(const std::string& bytes) {
  auto decoded = Directory::decode(Bytes::copy_of(bytes));
  if (decoded) return std::nullopt;
  return Refused{decoded.error().code(), decoded.error().message()};
}

void expect_valid(const std::string& bytes) {
  auto decoded = Directory::decode(Bytes::copy_of(bytes));
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(decoded->encoded().text(), bytes);
  EXPECT_EQ(decoded->digest(), blake3(bytes));
}

void expect_refused(const std::string& bytes, Code code, std::string_view message) {
  auto error = refused(bytes);
  ASSERT_TRUE(error) << "accepted: " << hex_encode(bytes_of(bytes));
  EXPECT_EQ(error->code, code) << error->message;
  EXPECT_NE(error->message.find(message), std::string::npos) << error->message;
}

TEST(DirectoryDecodeTest, TheEmptyMessageIsTheEmptyDirectory) {
  expect_valid("");
  EXPECT_EQ(Directory::decode(Bytes())->entry_count(), 0u);
}

TEST(DirectoryDecodeTest, InvalidNamesAreRefusedInEveryList) {
  expect_refused(directory(""), Code::kInvalidName, "cannot be empty");
  expect_refused(directory("."), Code::kInvalidName, "cannot be '.'");
  expect_refused(file(".."), Code::kInvalidName, "cannot be '..'");
  expect_refused(symlink("\0"s), Code::kInvalidName, "cannot contain null bytes");
  expect_refused(symlink("foo/bar"), Code::kInvalidName, "cannot contain slashes");
  expect_refused(symlink(std::string(500, 'X')), Code::kInvalidName, "cannot be over 255 bytes");
  expect_valid(symlink(std::string(255, 'X')));
}

TEST(DirectoryDecodeTest, WrongDigestLengthsAreRefused) {
  expect_refused(directory("foo", 42, "\0\x42"s), Code::kInvalidDigestLen,
                 "invalid digest length: 2");
  expect_refused(directory("foo", 42, ""), Code::kInvalidDigestLen, "invalid digest length: 0");
  expect_refused(file("foo", std::string(33, 'x')), Code::kInvalidDigestLen,
                 "invalid node with name foo: invalid digest length: 33");
}

TEST(DirectoryDecodeTest, BadSymlinkTargetsAreRefused) {
  expect_refused(symlink("a", ""), Code::kInvalidSymlinkTarget, "cannot be empty");
  expect_refused(symlink("a", "\0"s), Code::kInvalidSymlinkTarget, "cannot contain null bytes");
  expect_refused(symlink("a", std::string(4096, 'x')), Code::kInvalidSymlinkTarget,
                 "cannot be over 4095 bytes long");
  expect_valid(symlink("a", std::string(4095, 'x')));
}

TEST(DirectoryDecodeTest, ListsAreSortedAndNamesUnique) {
  expect_refused(directory("b") + directory("a"), Code::kWrongSorting, "a is not sorted");
  expect_refused(file("b") + file("a"), Code::kWrongSorting, "a is not sorted");
  expect_refused(symlink("b") + symlink("a"), Code::kWrongSorting, "a is not sorted");
  expect_refused(directory("a") + directory("a"), Code::kDuplicateName, "a is a duplicate name");
  expect_refused(directory("a") + symlink("a"), Code::kDuplicateName, "a is a duplicate name");
  expect_refused(directory("a") + file("a"), Code::kDuplicateName, "a is a duplicate name");
  expect_refused(file("a") + symlink("a"), Code::kDuplicateName, "a is a duplicate name");
  expect_valid(directory("a") + directory("b"));
  expect_valid(directory("b") + directory("c") + symlink("a"));
}

TEST(DirectoryDecodeTest, NamesAreSortedAsUnsignedBytesShorterFirst) {
  expect_valid(file("A") + file("B") + file("a") + file("a'") + file("a.") + file("aa") +
               file("\xc3\xa4") + file("\xff"));
  expect_refused(file("\xff") + file("a"), Code::kWrongSorting, "a is not sorted");
  expect_refused(file("aa") + file("a"), Code::kWrongSorting, "a is not sorted");
}

TEST(DirectoryDecodeTest, SizesThatDoNotFitAreRefused) {
  expect_refused(directory("foo", UINT64_MAX), Code::kSizeOverflow, "Total size exceeds u64::MAX");
  expect_refused(directory("foo", UINT64_MAX / 2) + directory("goo", UINT64_MAX / 2),
                 Code::kSizeOverflow, "Total size exceeds u64::MAX");
  // The doubled convention counts two for the entry itself.
  expect_refused(directory("foo", UINT64_MAX - 1), Code::kSizeOverflow, "Total size");
  expect_valid(directory("foo", UINT64_MAX - 2));
  // A file's size is no number of nodes.
  expect_valid(field(2, field(1, "a") + field(2, kZeroDigest) + number_field(3, UINT64_MAX)));
}

// Of several faults, the first in this order is named: sorting and duplicates within a list, then
// entry by entry the node and its name, then sizes and names across lists, then the encoding.
TEST(DirectoryDecodeTest, TheFaultThatTheFormatPutsFirstIsNamed) {
  // An empty first name is its own fault, although it equals the empty string before the first.
  expect_refused(directory("") + directory("a"), Code::kInvalidName, "cannot be empty");
  // Sorting is looked at through all lists before any entry.
  expect_refused(directory(".") + file("b") + file("a"), Code::kWrongSorting, "a is not sorted");
  // A bad name twice in a list is a bad name.
  expect_refused(directory("..") + directory(".."), Code::kInvalidName, "cannot be '..'");
  // The node of an entry before its name.
  expect_refused(directory("..", 42, "x"), Code::kInvalidDigestLen, "invalid digest length: 1");
  expect_refused(symlink("a/b", ""), Code::kInvalidSymlinkTarget, "cannot be empty");
  // The name of an earlier entry before the node of a later one.
  expect_refused(directory(".") + file("b", "x"), Code::kInvalidName, "cannot be '.'");
  // Entries before what concerns all of them.
  expect_refused(directory("a", UINT64_MAX) + symlink("a", ""), Code::kInvalidSymlinkTarget, "");
  // Sizes are added and names collected in one pass: what comes first wins.
  expect_refused(directory("a", UINT64_MAX) + file("a"), Code::kSizeOverflow, "Total size");
  expect_refused(directory("a", UINT64_MAX - 4) + file("a") + file("b"), Code::kDuplicateName,
                 "a is a duplicate name");
  expect_refused(directory("a", UINT64_MAX - 4) + file("b") + symlink("a"), Code::kSizeOverflow,
                 "Total size");
  expect_refused(directory("a") + directory("b") + file("b") + symlink("a"), Code::kDuplicateName,
                 "b is a duplicate name");
  // The encoding last.
  expect_refused(directory("a") + file("a") + field(4, ""), Code::kDuplicateName, "a is a dup");
  expect_refused(file("b") + directory("a", UINT64_MAX), Code::kSizeOverflow, "Total size");
}

std::string padded_varint(uint64_t value) {
  std::string out = varint(value);
  out.back() = static_cast<char>(out.back() | '\x80');
  return out + '\0';
}

TEST(DirectoryDecodeTest, OnlyTheCanonicalEncodingIsAccepted) {
  const std::string a = field(1, "a");
  const std::string digest = field(2, kZeroDigest);
  struct Case {
    const char* what;
    std::string bytes;
  };
  for (const Case& c : {
           Case{"files before directories", file("a") + directory("b")},
           Case{"symlinks before files", symlink("a") + file("b")},
           Case{"a list in two parts", directory("a") + file("b") + directory("c")},
           Case{"an explicit size 0", field(1, a + digest + number_field(3, 0))},
           Case{"an explicit executable 0", field(2, a + digest + number_field(4, 0))},
           Case{"an executable 2", field(2, a + digest + number_field(4, 2))},
           Case{"a long varint as size", field(2, a + digest + "\x18" + padded_varint(42))},
           Case{"a long varint as executable", field(2, a + digest + "\x20" + padded_varint(1))},
           Case{"a long varint as length of a name",
                field(2, "\x0a" + padded_varint(1) + "a" + digest)},
           Case{"a long varint as length of an entry",
                "\x12" + padded_varint((a + digest).size()) + a + digest},
           Case{"a long varint as tag of an entry",
                padded_varint(2 << 3 | 2) + varint(37) + a + digest},
           Case{"a long varint as tag in an entry",
                field(2, a + digest + padded_varint(3 << 3) + varint(42))},
           Case{"an unknown field of the directory", file("a") + field(4, "x")},
           Case{"an unknown varint of the directory", file("a") + number_field(4, 1)},
           Case{"an unknown field of a file", field(2, a + digest + number_field(5, 1))},
           Case{"an unknown fixed64 of a file",
                field(2, a + digest + "\x29" + std::string(8, 'x'))},
           Case{"an unknown fixed32 of a file",
                field(2, a + digest + "\x2d" + std::string(4, 'x'))},
           Case{"an executable directory", field(1, a + digest + number_field(4, 1))},
           Case{"a size on a symlink", field(3, a + field(2, "t") + number_field(3, 1))},
           Case{"digest before name", field(2, digest + a)},
           Case{"size before digest", field(2, a + number_field(3, 1) + digest)},
           Case{"a name twice", field(2, a + a + digest)},
           Case{"another name first", field(2, field(1, "b") + a + digest)},
           Case{"a digest twice", field(2, a + digest + digest)},
           Case{"a size twice", field(2, a + digest + number_field(3, 1) + number_field(3, 1))},
           Case{"an executable twice",
                field(2, a + digest + number_field(4, 1) + number_field(4, 1))},
           Case{"an empty name before the name", field(2, field(1, "") + a + digest)},
           Case{"a varint as name", field(2, number_field(1, 1) + a + digest)},
       }) {
    SCOPED_TRACE(c.what);
    expect_refused(c.bytes, Code::kNotCanonical, "not the canonical encoding");
  }
}

TEST(DirectoryDecodeTest, BytesThatAreNoMessageAreRefused) {
  const std::string whole = directory("a") + file("b") + symlink("c");
  for (size_t length = 1; length < whole.size(); ++length) {
    std::string cut = whole.substr(0, length);
    if (cut == directory("a") || cut == directory("a") + file("b")) continue;
    expect_refused(cut, Code::kNotCanonical, "not a Directory message");
  }
  for (const std::string& bytes :
       {"\x02\x00"s,                                      // field number 0
        "\x08\x01"s,                                      // a varint where entries belong
        "\x0b"s, "\x0c"s, "\x0e"s, "\x0f"s,               // groups and unused types
        "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,  // a huge length
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"s,  // no varint
        "\x0a\x02\x0a\x01"s})                             // an entry cut off within itself
    expect_refused(bytes, Code::kNotCanonical, "not a Directory message");
}

TEST(DirectoryDecodeTest, TooManyBytesAreRefusedBeforeTheyAreRead) {
  std::string bytes(kDirectoryBytesMax + 1, '\xff');
  expect_refused(bytes, Code::kTooLarge, "the limit is");
}

TEST(DirectoryDecodeTest, TooManyEntriesAreRefused) {
  // Before the rest takes any memory, and before the entries themselves are looked at.
  std::string empty_entries;
  for (size_t i = 0; i < 2 * kDirectoryEntriesMax; ++i) empty_entries += "\x12\0"s;
  expect_refused(empty_entries, Code::kTooLarge, "1000001 entries");
}

TEST(DirectoryDecodeTest, APassedOnFaultIsCorruption) {
  auto decoded = Directory::decode(Bytes::copy_of(directory("b") + directory("a")));
  ASSERT_FALSE(decoded);
  Error error = decoded.error();
  EXPECT_EQ(error.kind(), ErrorKind::kCorrupt);
  EXPECT_EQ(error.message(), "invalid directory: a is not sorted");
}

TEST(DirectoryDecodeTest, NamesInMessagesArePrintable) {
  expect_refused(file("\xff") + file("\x01"), Code::kWrongSorting, "\\x01 is not sorted");
}

}  // namespace
}  // namespace castore
