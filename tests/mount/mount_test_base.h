// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fs/filesystem.h"
#include "fs/root.h"
#include "fuse_device/server.h"
#include "model/node.h"
#include "store/services.h"
#include "store/testing/gated_blob_service.h"
#include "store/testing/temp_folder.h"

namespace castore::mount_tests {

// What a system call gave, or its errno.
template <typename T>
using Outcome = std::expected<T, int>;

template <typename T>
int error_of(const Outcome<T>& outcome) {
  return outcome ? 0 : outcome.error();
}

struct Listed {
  std::string name;
  unsigned char type = DT_UNKNOWN;
  uint64_t inode = 0;
};

// System calls as a program would make them.
Outcome<std::string> read_file(const std::string& path);
Outcome<struct stat> stat_of(const std::string& path);
Outcome<struct stat> lstat_of(const std::string& path);
Outcome<std::string> link_target(const std::string& path);
Outcome<std::vector<Listed>> list_folder(const std::string& path);
std::vector<std::string> names_of(const std::vector<Listed>& lines);
Outcome<std::string> xattr_of(const std::string& path, const char* name);
Outcome<std::vector<std::string>> xattr_names_of(const std::string& path);
// 0 when the file could be opened.
int open_error(const std::string& path, int flags);

// Runs `body` in a process of its own and gives what it returned, or 1000 and the signal.
int in_child(const std::function<int()>& body);

// Whether something is mounted exactly there.
bool is_mounted(const std::string& path);

// How this run of the program mounts, unless a test says otherwise.
fuse_device::ReadPath read_path_under_test();
fuse_device::Transport transport_under_test();

// A mount point, a store in memory whose blobs can be held back, and a server between them.
class MountTest : public ::testing::Test {
 protected:
  MountTest();
  // Nothing may be left mounted, nor a descriptor open.
  void TearDown() override;

  // Mounts names with their nodes.
  void mount(std::map<std::string, Node> names, fs::FilesystemOptions options = {});
  void mount_root(std::shared_ptr<fs::RootProvider> root, fs::FilesystemOptions options = {});
  // Stops the server and expects that to work.
  void end();

  fuse_device::ServerOptions server_options() const;
  // A path below the mount point.
  std::string at(std::string_view below) const;

  Node file(std::string_view content, bool executable = false);
  Node blob_a() { return file(std::string("\0\x01", 2)); }
  Node with_keep();

  store::Services services_;
  std::shared_ptr<store::testing::GatedBlobService> gated_;
  store::testing::TempFolder folder_;
  std::string mount_point_;
  size_t thread_count_ = 4;
  // Of the whole program: see main.cc.
  fuse_device::ReadPath read_path_ = read_path_under_test();
  fuse_device::Transport transport_ = transport_under_test();
  bool store_may_be_slow_ = false;
  std::chrono::milliseconds read_timeout_ = std::chrono::seconds(60);
  std::chrono::milliseconds stop_grace_ = std::chrono::seconds(20);
  std::unique_ptr<fuse_device::FuseServer> server_;

 private:
  size_t descriptors_before_;
};

}  // namespace castore::mount_tests
