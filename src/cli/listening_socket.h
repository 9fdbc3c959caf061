// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace castore::cli {

// A Unix stream socket at which other programs connect: one that was made at a path, or one that
// came with the process.
class ListeningSocket {
 public:
  // Made at `path`, for the user alone, or with `group` for its members too. What a process that is
  // gone left there is replaced; kUnavailable where one listens, kInvalidArgument where something
  // else is than a socket.
  static Result<ListeningSocket> make(const std::string& path, std::optional<gid_t> group);

  // Descriptor `number` of the process: --fd. kInvalidArgument where it is no such socket.
  static Result<ListeningSocket> inherited(int number);

  // Those that a service manager opened for this process ($LISTEN_FDS, as systemd does it): none
  // where it did not. Takes the variables away.
  static Result<std::vector<ListeningSocket>> from_service_manager();

  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  // Removes the file that was made, if it still stands for this socket.
  ~ListeningSocket();

  int descriptor() const { return fd_.get(); }
  const std::string& name() const { return name_; }  // for people

  // The next program that connects. Waits for one; the caller polls first where it must not.
  Result<UniqueFd> accept() const;

 private:
  ListeningSocket(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  UniqueFd fd_;
  std::string name_;
  // Of the file that was made, if one was.
  bool made_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// The number of a group by its name, or by its number in words.
Result<gid_t> group_of(const std::string& name);

}  // namespace castore::cli
