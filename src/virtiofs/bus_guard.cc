// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A signal handler is the process's, so this file has what the rest of castore does not: state that
// belongs to nobody. It is a list of slots that only grows, which the handler can walk at any time.
#include "virtiofs/bus_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <mutex>

#include "base/check.h"

namespace castore::virtiofs {
namespace {

std::atomic<BusGuard::Slot*> slots = nullptr;
std::mutex slots_mutex;  // who makes or gives back a slot
struct sigaction action_before;

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (BusGuard::Slot* slot = slots.load(std::memory_order_acquire); slot; slot = slot->next) {
    const uintptr_t begin = slot->begin.load(std::memory_order_acquire);
    const size_t bytes = slot->bytes.load(std::memory_order_relaxed);
    if (begin == 0 || address < begin || address - begin >= bytes) continue;
    // mmap(2) is one system call, and safe here. The whole mapping at once, as parts of one with
    // huge pages could not be replaced singly.
    void* replaced = ::mmap(reinterpret_cast<void*>(begin), bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (replaced == MAP_FAILED) break;
    slot->tripped.store(true, std::memory_order_release);
    return;
  }
  if ((action_before.sa_flags & SA_SIGINFO) != 0) {
    action_before.sa_sigaction(signal, info, context);
  } else if (action_before.sa_handler != SIG_DFL && action_before.sa_handler != SIG_IGN) {
    action_before.sa_handler(signal);
  } else {
    // The access is tried again on return, and ends the process.
    ::sigaction(signal, &action_before, nullptr);
  }
}

// With `slots_mutex`.
void install_handler() {
  static bool installed = false;
  if (installed) return;
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  int failed = ::sigaction(SIGBUS, &action, &action_before);
  CASTORE_CHECK(failed == 0, "SIGBUS can be handled");
  installed = true;
}

BusGuard::Slot* unused_slot() {
  for (BusGuard::Slot* slot = slots.load(); slot; slot = slot->next)
    if (slot->begin.load() == 0) return slot;
  auto* slot = new BusGuard::Slot;
  slot->next = slots.load();
  slots.store(slot, std::memory_order_release);
  return slot;
}

}  // namespace

BusGuard::BusGuard(void* begin, size_t bytes) {
  std::lock_guard lock(slots_mutex);
  install_handler();
  slot_ = unused_slot();
  slot_->tripped.store(false);
  slot_->bytes.store(bytes);
  slot_->begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
}

BusGuard::~BusGuard() {
  std::lock_guard lock(slots_mutex);
  slot_->begin.store(0, std::memory_order_release);
}

}  // namespace castore::virtiofs
