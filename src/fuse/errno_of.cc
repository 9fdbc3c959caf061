// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/errno_of.h"

#include <cerrno>

namespace castore::fuse {

int errno_of(fs::Fault fault) {
  switch (fault) {
    case fs::Fault::kNoEntry:
      return ENOENT;
    case fs::Fault::kNotDirectory:
      return ENOTDIR;
    case fs::Fault::kIsDirectory:
      return EISDIR;
    case fs::Fault::kInvalid:
      return EINVAL;
    case fs::Fault::kNotPermitted:
      return EPERM;
    case fs::Fault::kNoAttribute:
      return ENODATA;
    case fs::Fault::kBufferTooSmall:
      return ERANGE;
    case fs::Fault::kBeyondEnd:
      return ENXIO;
    case fs::Fault::kNotImplemented:
      return ENOSYS;
    case fs::Fault::kIo:
      return EIO;
    case fs::Fault::kTimedOut:
      return EIO;  // what programs expect of a disk; the log tells the two apart
    case fs::Fault::kTooMuchHeld:
      return ENFILE;
    case fs::Fault::kWouldWait:
      return EAGAIN;  // is asked again and never told; see Dispatcher
    case fs::Fault::kInterrupted:
      return EINTR;
  }
  return EIO;
}

int errno_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::kMalformed:
    case Refusal::kTooLarge:
      return EINVAL;
    case Refusal::kTooMany:
      return ENFILE;
    case Refusal::kNotImplemented:
      return ENOSYS;
    case Refusal::kReadOnly:
      return EROFS;
    case Refusal::kNoSuchControl:
      return ENOTTY;
    case Refusal::kNotInitialised:
      return EIO;
    case Refusal::kBadVersion:
      return EPROTO;
  }
  return EIO;
}

}  // namespace castore::fuse
