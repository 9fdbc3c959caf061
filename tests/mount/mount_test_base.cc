// SPDX-License-Identifier: MIT OR Apache-2.0
#include "mount_test_base.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "backends/memory/memory_services.h"
#include "base/unique_fd.h"
#include "fuse_device/mount_table.h"
#include "store/testing/fixtures.h"
#include "store/testing/must.h"

namespace castore::mount_tests {
namespace {

size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

}  // namespace

Outcome<std::string> read_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::unexpected(errno);
  std::string content;
  for (;;) {
    std::string piece(128 << 10, '\0');
    ssize_t n = ::read(fd.get(), piece.data(), piece.size());
    if (n < 0) return std::unexpected(errno);
    if (n == 0) return content;
    content.append(piece, 0, static_cast<size_t>(n));
  }
}

Outcome<struct stat> stat_of(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return std::unexpected(errno);
  return status;
}

Outcome<struct stat> lstat_of(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) return std::unexpected(errno);
  return status;
}

Outcome<std::string> link_target(const std::string& path) {
  std::string target(8192, '\0');
  ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
  if (n < 0) return std::unexpected(errno);
  target.resize(static_cast<size_t>(n));
  return target;
}

Outcome<std::vector<Listed>> list_folder(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(path.c_str()), ::closedir);
  if (!stream) return std::unexpected(errno);
  std::vector<Listed> lines;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr && errno != 0) return std::unexpected(errno);
    if (entry == nullptr) return lines;
    lines.push_back({entry->d_name, entry->d_type, entry->d_ino});
  }
}

std::vector<std::string> names_of(const std::vector<Listed>& lines) {
  std::vector<std::string> names;
  for (const Listed& line : lines) names.push_back(line.name);
  return names;
}

Outcome<std::string> xattr_of(const std::string& path, const char* name) {
  std::string value(256, '\0');
  ssize_t n = ::lgetxattr(path.c_str(), name, value.data(), value.size());
  if (n < 0) return std::unexpected(errno);
  value.resize(static_cast<size_t>(n));
  return value;
}

Outcome<std::vector<std::string>> xattr_names_of(const std::string& path) {
  std::string list(4096, '\0');
  ssize_t n = ::llistxattr(path.c_str(), list.data(), list.size());
  if (n < 0) return std::unexpected(errno);
  std::vector<std::string> names;
  for (size_t i = 0; i < static_cast<size_t>(n); i += names.back().size() + 1)
    names.emplace_back(list.c_str() + i);
  return names;
}

int open_error(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  return fd ? 0 : errno;
}

int in_child(const std::function<int()>& body) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  if (child < 0) return -1;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool is_mounted(const std::string& path) {
  return store::testing::must(fuse_device::mount_at(path)).has_value();
}

MountTest::MountTest()
    : services_(backends::memory_services()),
      gated_(std::make_shared<store::testing::GatedBlobService>(services_.blobs)),
      mount_point_(folder_.make_folder("mnt")),
      descriptors_before_(open_descriptors()) {
  // As the mount table names it, also where the temporary folder is behind a symlink.
  mount_point_ = std::filesystem::canonical(mount_point_);
}

void MountTest::TearDown() {
  end();
  EXPECT_FALSE(is_mounted(mount_point_));
  EXPECT_EQ(open_descriptors(), descriptors_before_);
}

void MountTest::mount(std::map<std::string, Node> names, fs::FilesystemOptions options) {
  mount_root(fs::map_root(std::move(names)), options);
}

void MountTest::mount_root(std::shared_ptr<fs::RootProvider> root, fs::FilesystemOptions options) {
  auto filesystem =
      std::make_shared<fs::Filesystem>(gated_, services_.directories, std::move(root), options);
  server_ =
      store::testing::must(fuse_device::FuseServer::start(std::move(filesystem), server_options()));
}

void MountTest::end() {
  if (!server_) return;
  server_->request_stop();
  auto ended = server_->wait();
  EXPECT_TRUE(ended) << ended.error().message();
  server_.reset();
}

fuse_device::ServerOptions MountTest::server_options() const {
  fuse_device::ServerOptions options;
  options.mount.mount_point = mount_point_;
  options.mount.source = "castore tests";
  options.thread_count = thread_count_;
  options.read_path = read_path_;
  options.transport = transport_;
  options.store_may_be_slow = store_may_be_slow_;
  options.read_timeout = read_timeout_;
  options.stop_grace = stop_grace_;
  return options;
}

std::string MountTest::at(std::string_view below) const {
  return mount_point_ + "/" + std::string(below);
}

Node MountTest::file(std::string_view content, bool executable) {
  return FileNode{store::testing::put_blob(services_, content), content.size(), executable};
}

Node MountTest::with_keep() {
  store::testing::put_blob(services_, "");
  Directory directory = store::testing::directory_with_keep();
  store::testing::must(services_.directories->put({}, directory));
  return DirectoryNode{directory.digest(), directory.size(SizeConvention::kDocumented)};
}

}  // namespace castore::mount_tests
