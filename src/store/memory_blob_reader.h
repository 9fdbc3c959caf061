// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <memory>

#include "base/bytes.h"
#include "digest/digest.h"
#include "store/blob_service.h"

// What implementations of BlobService share.
namespace castore::store {

// The digest of no bytes: the name of the empty blob and of the empty directory.
const Digest& empty_digest();

// A reader over bytes that are in memory and were verified.
std::unique_ptr<BlobReader> memory_blob_reader(Bytes bytes);

}  // namespace castore::store
