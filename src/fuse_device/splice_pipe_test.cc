// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse_device/splice_pipe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuse/negotiate.h"

namespace castore::fuse_device {
namespace {

constexpr std::string_view kHeader = "sixteen bytes..x";

UniqueFd file_of(std::string_view content) {
  UniqueFd file(::memfd_create("content", MFD_CLOEXEC));
  EXPECT_EQ(::write(file.get(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  return file;
}

std::string content_of(const UniqueFd& file) {
  std::string content(4 << 20, '\0');
  ssize_t n = ::pread(file.get(), content.data(), content.size(), 0);
  content.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return content;
}

fs::FileRange range(const UniqueFd& file, uint64_t offset, size_t size) {
  return {{file.get(), nullptr}, offset, size};
}

std::string pattern(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i / 4096 % 26 + i % 3);
  return text;
}

TEST(SplicePipe, HandsOnWhatIsInTheFile) {
  const std::string text = pattern(700'000);
  UniqueFd file = file_of(text);
  SplicePipe pipe;
  for (auto [offset, size] : {std::pair<size_t, size_t>{0, 4096},
                              {0, 700'000},
                              {4096, 65536},
                              {1000, 600'001},
                              {699'999, 1}}) {
    UniqueFd out = file_of("");
    ASSERT_TRUE(pipe.fill(bytes_of(kHeader), range(file, offset, size)));
    ASSERT_EQ(pipe.empty_into(out.get()), 0);
    EXPECT_EQ(content_of(out), std::string(kHeader) + text.substr(offset, size));
  }
}

TEST(SplicePipe, AFileThatEndsTooEarlyLeavesNothingBehind) {
  UniqueFd file = file_of(pattern(100'000));
  SplicePipe pipe;
  EXPECT_FALSE(pipe.fill(bytes_of(kHeader), range(file, 50'000, 60'000)));
  UniqueFd out = file_of("");
  ASSERT_TRUE(pipe.fill(bytes_of(kHeader), range(file, 0, 10)));
  ASSERT_EQ(pipe.empty_into(out.get()), 0);
  EXPECT_EQ(content_of(out), std::string(kHeader) + pattern(10));
}

TEST(SplicePipe, MoreThanFitsIsRefused) {
  UniqueFd file = file_of(pattern(4096));
  SplicePipe pipe;
  EXPECT_FALSE(pipe.fill(bytes_of(kHeader), range(file, 0, 64 << 20)));
}

TEST(SplicePipe, AReceiverThatFailsGetsNothingOfItLater) {
  UniqueFd file = file_of(pattern(8192));
  SplicePipe pipe;
  ASSERT_TRUE(pipe.fill(bytes_of(kHeader), range(file, 0, 8192)));
  UniqueFd read_only(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(pipe.empty_into(read_only.get()), EBADF);
  UniqueFd out = file_of("");
  ASSERT_TRUE(pipe.fill(bytes_of(kHeader), range(file, 100, 20)));
  ASSERT_EQ(pipe.empty_into(out.get()), 0);
  EXPECT_EQ(content_of(out), std::string(kHeader) + pattern(8192).substr(100, 20));
}

}  // namespace
}  // namespace castore::fuse_device
