// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace castore::store::testing {

// A new folder on disk, removed with all that is in it. A failure throws.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();

  const std::string& path() const { return path_; }
  // The path of something in it.
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  // These take paths below the folder, whose parents must exist, and give the whole path. Modes
  // are set whatever the umask.
  std::string write_file(std::string_view name, std::string_view content, mode_t mode = 0644) const;
  std::string make_folder(std::string_view name, mode_t mode = 0755) const;
  std::string symlink(std::string_view name, const std::string& target) const;

 private:
  std::string path_;
};

// Removes whatever stands at `path`, of any depth, also where paths are longer than the kernel
// takes. Nothing there is fine.
void remove_tree(const std::string& path);

}  // namespace castore::store::testing
