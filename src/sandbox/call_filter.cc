// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sandbox/call_filter.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <memory>
#include <span>

namespace castore::sandbox {
namespace {

// What the daemon was seen to call (strace under its workloads), and what the C library calls in
// their place on other machines. Without a condition on arguments.
constexpr int kAllowed[] = {
    // Files that are open: the database's readers take a lock, packs and blobs are read.
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(readv),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(lseek),
    SCMP_SYS(fcntl),
    SCMP_SYS(fadvise64),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    // The log, and the front end's event descriptors.
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(eventfd2),
    // The front end: its memory comes as descriptors, ours for requests in flight goes back so.
    SCMP_SYS(accept4),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    // Memory; what is mapped or made executable is not in this list.
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    // Threads.
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(membarrier),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    // Signals: those of faults (and of `abort`) are handled or end the process, as anywhere.
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    // Time and chance.
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
};

#ifdef CASTORE_SANITIZED
// A sanitizer's runtime looks around in its process, and prints what it finds.
constexpr int kAllowedToSanitizers[] = {
    SCMP_SYS(readlink), SCMP_SYS(getrlimit), SCMP_SYS(prlimit64),
    SCMP_SYS(ioctl),    SCMP_SYS(uname),     SCMP_SYS(getuid),
    SCMP_SYS(geteuid),  SCMP_SYS(pipe2),     SCMP_SYS(sched_setaffinity),
};
#endif

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

Result<void> check(int outcome, std::string_view doing) {
  if (outcome == 0) return {};
  // libseccomp gives negative errno values; ECANCELED stands for the kernel's.
  const int error = outcome == -ECANCELED ? errno : -outcome;
  if (error == EINVAL || error == ENOSYS)
    return fail(ErrorKind::kUnsupported,
                "{}: the kernel has no such filters (CONFIG_SECCOMP_FILTER)", doing);
  return fail_errno(error, "{}", doing);
}

constexpr std::string_view kBuilding = "making a filter for system calls";

Result<void> allow(const Filter& filter, int call, std::initializer_list<scmp_arg_cmp> conditions) {
  return check(seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call,
                                      static_cast<unsigned>(conditions.size()), conditions.begin()),
               kBuilding);
}

Result<void> allow_all(const Filter& filter, std::span<const int> calls) {
  for (int call : calls) CASTORE_TRY(allow(filter, call, {}));
  return {};
}

// Conditions on the argument of that number. (The macros of libseccomp are C.)
scmp_arg_cmp masked(unsigned argument, uint64_t mask, uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
scmp_arg_cmp equal(unsigned argument, uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}

Result<void> allow_with_conditions(const Filter& filter) {
  // For reading only, whatever else is asked for: the parts that create, cut or write are refused.
  constexpr uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE;
  CASTORE_TRY(allow(filter, SCMP_SYS(openat), {masked(2, kWriting, O_RDONLY)}));
  CASTORE_TRY(allow(filter, SCMP_SYS(open), {masked(1, kWriting, O_RDONLY)}));
  // Nothing new is ever executed.
  for (int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
    CASTORE_TRY(allow(filter, call, {masked(2, PROT_EXEC, 0)}));
  // A thread, not a process. What clone3 is asked for a filter cannot see; the C library then takes
  // the older call.
  CASTORE_TRY(allow(filter, SCMP_SYS(clone),
                    {masked(0, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND,
                            CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)}));
  CASTORE_TRY(check(
      seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, nullptr),
      kBuilding));
  // A thread's name.
  CASTORE_TRY(allow(filter, SCMP_SYS(prctl), {equal(0, PR_SET_NAME)}));
#ifdef CASTORE_SANITIZED
  CASTORE_TRY(allow(filter, SCMP_SYS(prctl), {}));
#endif
  // The C library asks of a stream that it writes to first whether it is a terminal.
  CASTORE_TRY(allow(filter, SCMP_SYS(ioctl), {equal(1, TCGETS)}));
  // A signal to itself, as `abort` sends it.
  return allow(filter, SCMP_SYS(tgkill), {equal(0, static_cast<scmp_datum_t>(::getpid()))});
}

}  // namespace

Result<void> forbid_unneeded_calls() {
  Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), &seccomp_release);
  if (!filter) return fail(ErrorKind::kUnsupported, "{}: out of memory, or no support", kBuilding);
  CASTORE_TRY(check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1), kBuilding));
  CASTORE_TRY(check(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
                    kBuilding));
  // A search tree in place of a list: each call passes through it.
  CASTORE_TRY(check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), kBuilding));
  CASTORE_TRY(allow_all(filter, kAllowed));
#ifdef CASTORE_SANITIZED
  CASTORE_TRY(allow_all(filter, kAllowedToSanitizers));
#endif
  CASTORE_TRY(allow_with_conditions(filter));
  return check(seccomp_load(filter.get()), "putting on the filter for system calls");
}

}  // namespace castore::sandbox
