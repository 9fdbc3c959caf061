// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace castore {

// What a caller can do about a failure. Absence of an object is not a failure; see store/.
enum class ErrorKind {
  kInvalidArgument,  // the request is wrong: fix it
  kNotFound,         // something the request names by place or reference does not exist
  kCorrupt,          // stored or received bytes are not what they claim to be: restore them
  kUnavailable,      // not now; trying again may help
  kDenied,           // permission
  kExhausted,        // no room: disk, memory, descriptors, a configured limit
  kUnsupported,      // this build, kernel or format version cannot do it
  kCancelled,        // somebody asked to stop, or the deadline passed
  kWouldWait,        // only by waiting, which the caller does not want: see Context::may_wait
  kInternal,         // everything else, our mistakes included
};

// The kind's name in messages and logs, as "corrupt".
std::string_view to_string(ErrorKind kind);

// Why something failed: a kind for programs and one message for a person. The message reads from
// what was attempted to the cause, joined by ": ", as
// "importing /srv/a: reading /srv/a/b: Permission denied".
class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  // From an errno value; `doing` says what was attempted to what, as "opening /srv/a".
  static Error from_errno(int errno_value, std::string_view doing);

  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }

  // Puts "`doing`: " before the message.
  Error context(std::string_view doing) &&;

 private:
  ErrorKind kind_;
  std::string message_;
};

}  // namespace castore
