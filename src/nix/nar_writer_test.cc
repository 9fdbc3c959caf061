// SPDX-License-Identifier: MIT OR Apache-2.0
#include "nix/nar_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hex.h"

namespace castore::nix {
namespace {

// Keeps what it is given, call by call.
class RecordingSink final : public NarSink {
 public:
  Result<void> write(ByteView bytes) override {
    calls_.push_back({bytes.data(), bytes.size()});
    nar_.append(text_of(bytes));
    return {};
  }

  struct Call {
    const std::byte* data;
    size_t size;
  };
  const std::string& nar() const { return nar_; }
  const std::vector<Call>& calls() const { return calls_; }

 private:
  std::string nar_;
  std::vector<Call> calls_;
};

class FailingSink final : public NarSink {
 public:
  Result<void> write(ByteView) override { return fail(ErrorKind::kExhausted, "no room"); }
};

std::string str(std::string_view text) {
  std::string out;
  for (int shift = 0; shift < 64; shift += 8)
    out.push_back(static_cast<char>(text.size() >> shift & 0xff));
  out += text;
  while (out.size() % 8 != 0) out.push_back('\0');
  return out;
}

std::string strings(std::initializer_list<std::string_view> texts) {
  std::string out;
  for (std::string_view text : texts) out += str(text);
  return out;
}

void write_file(NarWriter& writer, std::string_view content, bool executable = false) {
  ASSERT_TRUE(writer.begin_file(content.size(), executable));
  ASSERT_TRUE(writer.contents(bytes_of(content)));
  ASSERT_TRUE(writer.end_file());
}

TEST(NarWriterTest, WritesAFile) {
  RecordingSink sink;
  NarWriter writer(sink);
  write_file(writer, "Hello World!");
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(sink.nar(),
            strings({"nix-archive-1", "(", "type", "regular", "contents", "Hello World!", ")"}));
  EXPECT_EQ(sink.nar().size(), 128u);
  EXPECT_EQ(hex_encode(sha256(bytes_of(sink.nar()))),
            "03e7f63be30b065d78bcf615f5473545fdb4eb69aa416f43495b4e05cdfb8040");
}

TEST(NarWriterTest, WritesAnExecutable) {
  RecordingSink sink;
  NarWriter writer(sink);
  write_file(writer, "Hello World!", true);
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(sink.nar(), strings({"nix-archive-1", "(", "type", "regular", "executable", "",
                                 "contents", "Hello World!", ")"}));
}

TEST(NarWriterTest, WritesAnEmptyFile) {
  RecordingSink sink;
  NarWriter writer(sink);
  ASSERT_TRUE(writer.begin_file(0, false));
  ASSERT_TRUE(writer.end_file());
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(sink.nar(), strings({"nix-archive-1", "(", "type", "regular", "contents", "", ")"}));
}

TEST(NarWriterTest, WritesASymlink) {
  RecordingSink sink;
  NarWriter writer(sink);
  ASSERT_TRUE(writer.symlink("/nix/store/somewhereelse"));
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(sink.nar(), strings({"nix-archive-1", "(", "type", "symlink", "target",
                                 "/nix/store/somewhereelse", ")"}));
}

TEST(NarWriterTest, WritesNestedDirectories) {
  RecordingSink sink;
  NarWriter writer(sink);
  ASSERT_TRUE(writer.enter_directory());
  ASSERT_TRUE(writer.entry_name(".keep"));
  write_file(writer, "");
  ASSERT_TRUE(writer.entry_name("aa"));
  ASSERT_TRUE(writer.symlink("/nix/store/somewhereelse"));
  ASSERT_TRUE(writer.entry_name("keep"));
  ASSERT_TRUE(writer.enter_directory());
  ASSERT_TRUE(writer.entry_name(".keep"));
  write_file(writer, "");
  ASSERT_TRUE(writer.leave_directory());
  ASSERT_TRUE(writer.leave_directory());
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(sink.nar().size(), 840u);
  EXPECT_EQ(hex_encode(sha256(bytes_of(sink.nar()))),
            "ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a");
}

TEST(NarWriterTest, PadsEveryLengthToEightBytes) {
  for (size_t length = 0; length <= 17; ++length) {
    std::string content(length, 'x');
    RecordingSink sink;
    NarWriter writer(sink);
    write_file(writer, content);
    ASSERT_TRUE(writer.finish());
    EXPECT_EQ(sink.nar(),
              strings({"nix-archive-1", "(", "type", "regular", "contents", content, ")"}))
        << length;
  }
}

TEST(NarWriterTest, ContentsMayComeInAnyPieces) {
  std::string content;
  for (int i = 0; content.size() < 300'000; ++i) content += std::to_string(i);
  const std::string expected =
      strings({"nix-archive-1", "(", "type", "regular", "contents", content, ")"});
  for (size_t step : {size_t{1000}, size_t{16383}, size_t{16384}, size_t{65536}, content.size()}) {
    RecordingSink sink;
    NarWriter writer(sink);
    ASSERT_TRUE(writer.begin_file(content.size(), false));
    for (size_t begin = 0; begin < content.size(); begin += step)
      ASSERT_TRUE(writer.contents(bytes_of(std::string_view(content).substr(begin, step))));
    ASSERT_TRUE(writer.contents({}));
    ASSERT_TRUE(writer.end_file());
    ASSERT_TRUE(writer.finish());
    EXPECT_EQ(sink.nar(), expected) << step;
  }
}

TEST(NarWriterTest, LargeContentsReachTheSinkWithoutACopy) {
  std::string content(200'000, 'x');
  RecordingSink sink;
  NarWriter writer(sink);
  write_file(writer, content);
  ASSERT_TRUE(writer.finish());
  ASSERT_EQ(sink.calls().size(), 3u);
  EXPECT_EQ(sink.calls()[1].data, bytes_of(content).data());
  EXPECT_EQ(sink.calls()[1].size, content.size());
}

TEST(NarWriterTest, SmallPiecesAreGathered) {
  RecordingSink sink;
  NarWriter writer(sink);
  ASSERT_TRUE(writer.enter_directory());
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(writer.entry_name(fmt::format("{:04}", i)));
    write_file(writer, "some content");
  }
  ASSERT_TRUE(writer.leave_directory());
  ASSERT_TRUE(writer.finish());
  EXPECT_GT(sink.nar().size(), 2000u * 200);
  EXPECT_LE(sink.calls().size(), 1 + sink.nar().size() / (64 * 1024));
}

TEST(NarWriterTest, ContentsOfAnotherLengthAreCorrupt) {
  RecordingSink sink;
  {
    NarWriter writer(sink);
    ASSERT_TRUE(writer.begin_file(42, false));
    ASSERT_TRUE(writer.contents(bytes_of("Hello World!")));
    auto ended = writer.end_file();
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().kind(), ErrorKind::kCorrupt);
    EXPECT_EQ(ended.error().message(), "the contents end after 12 of the 42 bytes announced");
  }
  NarWriter writer(sink);
  ASSERT_TRUE(writer.begin_file(2, false));
  auto written = writer.contents(bytes_of("Hello World!"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind(), ErrorKind::kCorrupt);
  EXPECT_EQ(written.error().message(), "the contents are longer than the 2 bytes announced");
}

TEST(NarWriterTest, FailuresOfTheSinkArePassedOn) {
  FailingSink sink;
  NarWriter writer(sink);
  ASSERT_TRUE(writer.symlink("a"));
  auto finished = writer.finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().message(), "no room");

  NarWriter other(sink);
  ASSERT_TRUE(other.begin_file(100'000, false));
  EXPECT_FALSE(other.contents(bytes_of(std::string(100'000, 'x'))));
}

TEST(NarWriterDeathTest, EventsOutOfOrderAreMistakes) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  RecordingSink sink;
  auto in_directory = [&](std::initializer_list<std::string_view> names) {
    NarWriter writer(sink);
    (void)writer.enter_directory();
    for (std::string_view name : names) {
      (void)writer.entry_name(name);
      (void)writer.symlink("t");
    }
  };
  EXPECT_DEATH(in_directory({"b", "a"}), "not in the order of their names");
  EXPECT_DEATH(in_directory({"a", "a"}), "not in the order of their names");
  EXPECT_DEATH(in_directory({"a/b"}), "is not valid");
  EXPECT_DEATH((void)NarWriter(sink).entry_name("a"), "an entry where none belongs");
  EXPECT_DEATH((void)NarWriter(sink).leave_directory(), "not open");
  EXPECT_DEATH((void)NarWriter(sink).contents({}), "contents outside of a file");
  EXPECT_DEATH((void)NarWriter(sink).finish(), "finished before");
  EXPECT_DEATH((void)NarWriter(sink).symlink(""), "target of a symlink");
}

TEST(NarHashSinkTest, HashesAndCounts) {
  NarHashSink sink;
  NarWriter writer(sink);
  ASSERT_TRUE(writer.enter_directory());
  ASSERT_TRUE(writer.leave_directory());
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(sink.size(), 96u);
  EXPECT_EQ(hex_encode(sink.finish()),
            "a50a5ab6d992f5598edd92105059fae9acfc192981e08bd88534c2167e92526a");
}

}  // namespace
}  // namespace castore::nix
