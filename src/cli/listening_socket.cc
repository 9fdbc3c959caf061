// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/listening_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "base/file.h"
#include "cli/unix_address.h"

namespace castore::cli {
namespace {

constexpr int kBacklog = 16;
constexpr int kFirstFromManager = 3;  // sd_listen_fds(3)
constexpr int kFromManagerMax = 1024;
constexpr size_t kGroupBytesMax = 64 * 1024;

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Two that start at once must not both take what they find for a leftover.
UniqueFd lock_folder_of(const std::string& path) {
  size_t end = path.rfind('/');
  std::string folder = end == std::string::npos ? "." : path.substr(0, end + 1);
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // A folder that may not be read can have sockets all the same, without this care.
  if (fd) (void)::flock(fd.get(), LOCK_EX);
  return fd;
}

Result<void> remove_leftover(const std::string& path, const UnixAddress& address) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, "looking for what is there");
  }
  if (!S_ISSOCK(status.st_mode))
    return fail(ErrorKind::kInvalidArgument, "there is something else than a socket");
  // With a socket of another kind, which cannot connect: one that does would be taken for a guest.
  UniqueFd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe) return fail_errno(errno, "making a socket");
  if (::connect(probe.get(), address.get(), address.length) == 0 || errno == EPROTOTYPE)
    return fail(ErrorKind::kUnavailable, "another process listens there");
  if (errno != ECONNREFUSED) return fail_errno(errno, "asking whether somebody listens there");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(errno, "removing what another process left");
  return {};
}

Result<UniqueFd> listen_at(const std::string& path, std::optional<gid_t> group) {
  UnixAddress address = CASTORE_TRY(UnixAddress::of(path));
  if (path[0] == '@')
    return fail(ErrorKind::kInvalidArgument, "it needs a path: anybody may use an abstract name");
  UniqueFd lock = lock_folder_of(path);
  CASTORE_TRY(remove_leftover(path, address));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "making a socket");
  // The mode that the file will have: nobody gets in before it is as wanted.
  if (::fchmod(fd.get(), 0600) != 0) return fail_errno(errno, "setting its mode");
  if (::bind(fd.get(), address.get(), address.length) != 0)
    return fail_errno(errno, "making the socket");
  if (group) {
    if (::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0 ||
        ::chmod(path.c_str(), 0660) != 0) {
      int error = errno;
      (void)::unlink(path.c_str());
      return fail_errno(error, "giving it to group {}", *group);
    }
  }
  if (::listen(fd.get(), kBacklog) != 0) return fail_errno(errno, "listening");
  return fd;
}

int option_of(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

}  // namespace

Result<ListeningSocket> ListeningSocket::make(const std::string& path, std::optional<gid_t> group) {
  ListeningSocket made(CASTORE_TRY_WHILE(listen_at(path, group), "listening at {}", path), path);
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) return fail_errno(errno, "looking at {}", path);
  made.made_ = true;
  made.device_ = status.st_dev;
  made.inode_ = status.st_ino;
  return made;
}

Result<ListeningSocket> ListeningSocket::inherited(int number) {
  if (option_of(number, SO_DOMAIN) != AF_UNIX || option_of(number, SO_TYPE) != SOCK_STREAM ||
      option_of(number, SO_ACCEPTCONN) != 1)
    return fail(ErrorKind::kInvalidArgument, "descriptor {} is no Unix stream socket that listens",
                number);
  (void)::fcntl(number, F_SETFD, FD_CLOEXEC);
  return ListeningSocket(UniqueFd(number), fmt::format("descriptor {}", number));
}

Result<std::vector<ListeningSocket>> ListeningSocket::from_service_manager() {
  std::vector<ListeningSocket> sockets;
  const char* process = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (process == nullptr || count == nullptr || number_in<pid_t>(process) != ::getpid())
    return sockets;
  std::optional<int> number = number_in<int>(count);
  if (!number || *number < 0 || *number > kFromManagerMax)
    return fail(ErrorKind::kInvalidArgument, "LISTEN_FDS={}: that is no number of sockets", count);
  for (int i = 0; i < *number; ++i)
    sockets.push_back(CASTORE_TRY(inherited(kFirstFromManager + i)));
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  return sockets;
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : fd_(std::move(other.fd_)),
      name_(std::move(other.name_)),
      made_(std::exchange(other.made_, false)),
      device_(other.device_),
      inode_(other.inode_) {}

ListeningSocket::~ListeningSocket() {
  struct stat status;
  if (made_ && ::lstat(name_.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == inode_)
    (void)::unlink(name_.c_str());
}

Result<UniqueFd> ListeningSocket::accept() const {
  for (;;) {
    UniqueFd connected(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connected) return connected;
    // Whoever it was is gone again.
    if (errno == EINTR || errno == ECONNABORTED) continue;
    return fail_errno(errno, "accepting a connection at {}", name_);
  }
}

Result<gid_t> group_of(const std::string& name) {
  std::string buffer(kGroupBytesMax, '\0');
  struct group entry;
  struct group* found = nullptr;
  int error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return entry.gr_gid;
  if (auto number = number_in<gid_t>(name)) return *number;
  if (error != 0) return fail_errno(error, "looking for group {}", name);
  return fail(ErrorKind::kNotFound, "there is no group {}", name);
}

}  // namespace castore::cli
