// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/fuse_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <variant>

#include "base/file.h"
#include "base/unique_fd.h"

namespace castore::cli {
namespace {

constexpr int kAnswerWithinMs = 5000;
// The least the kernel hands a request to.
constexpr size_t kRequestBytesMax = 64 * 1024;

// In the child, with everything it does undone by its end. Gives an errno.
int enter_private_mounts() {
  if (::geteuid() != 0) {
    std::string uid_map = fmt::format("0 {} 1", ::geteuid());
    std::string gid_map = fmt::format("0 {} 1", ::getegid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return errno;
    for (const auto& [path, text] :
         {std::pair<const char*, std::string>{"/proc/self/setgroups", "deny"},
          {"/proc/self/uid_map", uid_map},
          {"/proc/self/gid_map", gid_map}}) {
      UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
      if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) return errno;
    }
  } else if (::unshare(CLONE_NEWNS) != 0) {
    return errno;
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 ? 0 : errno;
}

// Mounts over the folder of the device itself, which is sure to be there, and passes the kernel's
// first request on. The answer begins with an errno.
void probe_in_child(int answer_fd) {
  std::array<std::byte, kRequestBytesMax> request;
  ssize_t length = 0;
  int error = enter_private_mounts();
  if (error == 0) {
    UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    std::string options = fmt::format("fd={},rootmode=40000,user_id=0,group_id=0", device.get());
    if (!device ||
        ::mount("castore-doctor", "/dev", "fuse", MS_RDONLY | MS_NOSUID | MS_NODEV,
                options.c_str()) != 0 ||
        (length = ::read(device.get(), request.data(), request.size())) < 0)
      error = errno;
  }
  (void)!::write(answer_fd, &error, sizeof error);
  if (error == 0) (void)!::write(answer_fd, request.data(), static_cast<size_t>(length));
}

}  // namespace

Result<fuse::InitRequest> probe_fuse() {
  constexpr const char* kDoing = "asking the kernel what its FUSE offers";
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "{}", kDoing);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "{}", kDoing);
  if (child == 0) {
    probe_in_child(write_end.get());
    ::_exit(0);
  }
  write_end.reset();

  // The child is killed rather than waited for when the kernel does not answer.
  struct pollfd polled = {read_end.get(), POLLIN, 0};
  bool answered = ::poll(&polled, 1, kAnswerWithinMs) == 1;
  std::vector<std::byte> answer(sizeof(int) + kRequestBytesMax);
  Result<size_t> length = 0;
  if (answered) length = read_some(read_end.get(), answer, "the probe");
  (void)::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }

  size_t bytes = CASTORE_TRY(std::move(length));
  if (bytes < sizeof(int)) return fail(ErrorKind::kUnavailable, "{}: no answer", kDoing);
  int error;
  std::memcpy(&error, answer.data(), sizeof error);
  if (error != 0) return fail_errno(error, "{}", kDoing);
  auto request = fuse::decode_request(ByteView(answer).subspan(sizeof error, bytes - sizeof error));
  const auto* init = request ? std::get_if<fuse::InitRequest>(&request->operation) : nullptr;
  if (init == nullptr) return fail(ErrorKind::kUnsupported, "{}: an unknown answer", kDoing);
  return *init;
}

}  // namespace castore::cli
