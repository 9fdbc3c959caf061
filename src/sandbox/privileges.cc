// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sandbox/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace castore::sandbox {

Result<void> become(uid_t user, gid_t group) {
  if (user == ::geteuid() && group == ::getegid()) return {};
  if (::setgroups(0, nullptr) != 0 || ::setresgid(group, group, group) != 0 ||
      ::setresuid(user, user, user) != 0)
    return fail_errno(errno, "becoming user {} and group {}", user, group);
  return {};
}

Result<void> give_up_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail_errno(errno, "giving up new privileges");
  // EPERM: without CAP_SETPCAP, so that there is nothing to give up. EINVAL: that was the last one.
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;)
    ++capability;
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return fail_errno(errno, "giving up ambient capabilities");
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return fail_errno(errno, "giving up capabilities");
  return {};
}

}  // namespace castore::sandbox
