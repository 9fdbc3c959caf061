// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace castore {
namespace {

ErrorKind kind_of_errno(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      return ErrorKind::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorKind::kDenied;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EFBIG:
      return ErrorKind::kExhausted;
    case EINVAL:
    case EEXIST:
    case ENOTEMPTY:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return ErrorKind::kInvalidArgument;
    case EAGAIN:
    case EBUSY:
    case ETIMEDOUT:
      return ErrorKind::kUnavailable;
    case EINTR:
    case ECANCELED:
      return ErrorKind::kCancelled;
    case EOPNOTSUPP:
    case ENOSYS:
    case ENODEV:
      return ErrorKind::kUnsupported;
    default:
      return ErrorKind::kInternal;
  }
}

// What a person can do, where the system's words do not say it.
std::string_view advice_of_errno(int errno_value) {
  switch (errno_value) {
    case EMFILE:
      return " (this process may have no more: see `ulimit -n`, or LimitNOFILE of its service)";
    case ENFILE:
      return " (the whole system may have no more: see `sysctl fs.file-max`)";
    default:
      return "";
  }
}

}  // namespace

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return "invalid argument";
    case ErrorKind::kNotFound:
      return "not found";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kDenied:
      return "denied";
    case ErrorKind::kExhausted:
      return "exhausted";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kWouldWait:
      return "would wait";
    case ErrorKind::kInternal:
      return "internal";
  }
  return "unknown";
}

Error Error::from_errno(int errno_value, std::string_view doing) {
  std::string why = std::generic_category().message(errno_value);
  return Error(kind_of_errno(errno_value), why.append(advice_of_errno(errno_value))).context(doing);
}

Error Error::context(std::string_view doing) && {
  std::string whole;
  whole.reserve(doing.size() + 2 + message_.size());
  whole.append(doing).append(": ").append(message_);
  return Error(kind_, std::move(whole));
}

}  // namespace castore
