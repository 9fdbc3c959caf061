// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "virtiofs/guest_memory.h"

namespace castore::virtiofs {

// Descriptors of one request, also where they are in a table of their own; a driver may not use
// more than its queue has places, which are kQueueSizeMax at most.
inline constexpr size_t kDescriptorsMax = 1024;

// One request's memory: what the guest says, then where it wants the answer. Empty buffers are
// left out, and one that lies in two regions is two pieces.
struct Chain {
  std::vector<ByteView> readable;
  std::vector<MutableByteView> writable;
  size_t readable_bytes = 0;
  size_t writable_bytes = 0;
};

// Reads the chain that begins at `head` of `table` (of abi::Descriptor, in guest memory) into
// `chain`, whose vectors keep their memory from call to call. Each descriptor is read once. Ends
// after kDescriptorsMax descriptors, however they are linked.
//
// kInvalidArgument: a loop or too many descriptors, an index beyond the table, memory that is not
// the guest's, a readable buffer after a writable one, a table in a table, or a table though
// `indirect` says that none was agreed on.
Result<void> read_chain(ByteView table, uint16_t head, bool indirect, const GuestMemory& memory,
                        Chain& chain);

// Copies what the guest says to `out`, as much as there is room; gives the bytes copied.
size_t copy_request(const Chain& chain, MutableByteView out);

}  // namespace castore::virtiofs
