// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/chain.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "virtiofs/ring_abi.h"

namespace castore::virtiofs {
namespace {

abi::Descriptor read_descriptor(ByteView table, size_t index) {
  abi::Descriptor descriptor;
  std::memcpy(&descriptor, table.data() + index * sizeof descriptor, sizeof descriptor);
  // All uses are of the copy: what the guest changes from now on does not matter.
  std::atomic_signal_fence(std::memory_order_acquire);
  return descriptor;
}

Result<void> add_buffer(const abi::Descriptor& descriptor, const GuestMemory& memory,
                        Chain& chain) {
  const bool is_writable = (descriptor.flags & abi::kDescWrite) != 0;
  if (!is_writable && chain.writable_bytes > 0)
    return fail(ErrorKind::kInvalidArgument, "a request goes on after its answer");
  uint64_t address = descriptor.address;
  for (size_t left = descriptor.bytes; left > 0;) {
    MutableByteView piece = memory.at_guest(address, left);
    if (piece.empty())
      return fail(ErrorKind::kInvalidArgument,
                  "a request names {:#x}, where the guest has no memory", address);
    if (is_writable) {
      chain.writable.push_back(piece);
      chain.writable_bytes += piece.size();
    } else {
      chain.readable.emplace_back(piece);
      chain.readable_bytes += piece.size();
    }
    left -= piece.size();
    address += piece.size();
  }
  return {};
}

// The table of an indirect descriptor.
Result<ByteView> indirect_table(const abi::Descriptor& descriptor, const GuestMemory& memory) {
  if (descriptor.bytes == 0 || descriptor.bytes % sizeof(abi::Descriptor) != 0 ||
      descriptor.bytes > kDescriptorsMax * sizeof(abi::Descriptor))
    return fail(ErrorKind::kInvalidArgument, "a table of descriptors has {} bytes",
                descriptor.bytes);
  MutableByteView table = memory.at_guest(descriptor.address, descriptor.bytes);
  if (table.size() != descriptor.bytes)
    return fail(ErrorKind::kInvalidArgument,
                "a table of descriptors is at {:#x}, where the guest has no memory",
                descriptor.address);
  return table;
}

}  // namespace

Result<void> read_chain(ByteView table, uint16_t head, bool indirect, const GuestMemory& memory,
                        Chain& chain) {
  chain.readable.clear();
  chain.writable.clear();
  chain.readable_bytes = 0;
  chain.writable_bytes = 0;
  size_t index = head;
  bool in_own_table = false;
  // One more, which may be the table's.
  for (size_t count = 0; count <= kDescriptorsMax; ++count) {
    if (index >= table.size() / sizeof(abi::Descriptor))
      return fail(ErrorKind::kInvalidArgument, "a request goes on at descriptor {} of {}", index,
                  table.size() / sizeof(abi::Descriptor));
    const abi::Descriptor descriptor = read_descriptor(table, index);
    const bool goes_on = (descriptor.flags & abi::kDescNext) != 0;
    if ((descriptor.flags & abi::kDescIndirect) != 0) {
      if (!indirect || in_own_table || goes_on)
        return fail(ErrorKind::kInvalidArgument, "a table of descriptors where none may be");
      table = CASTORE_TRY(indirect_table(descriptor, memory));
      in_own_table = true;
      index = 0;
      continue;
    }
    CASTORE_TRY(add_buffer(descriptor, memory, chain));
    if (!goes_on) return {};
    index = descriptor.next;
  }
  return fail(ErrorKind::kInvalidArgument, "a request has more than {} descriptors",
              kDescriptorsMax);
}

size_t copy_request(const Chain& chain, MutableByteView out) {
  size_t copied = 0;
  for (ByteView piece : chain.readable) {
    const size_t n = std::min(piece.size(), out.size() - copied);
    if (n == 0) break;
    std::memcpy(out.data() + copied, piece.data(), n);
    copied += n;
  }
  return copied;
}

}  // namespace castore::virtiofs
