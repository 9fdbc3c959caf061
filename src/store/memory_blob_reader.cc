// SPDX-License-Identifier: MIT OR Apache-2.0
#include "store/memory_blob_reader.h"

#include <algorithm>
#include <utility>

#include "digest/blake3.h"

namespace castore::store {
namespace {

class MemoryBlobReader final : public BlobReader {
 public:
  explicit MemoryBlobReader(Bytes bytes) : bytes_(std::move(bytes)) {}

  uint64_t size() const override { return bytes_.size(); }

  Result<size_t> read_at(const Context&, uint64_t offset, MutableByteView out) override {
    if (offset >= bytes_.size()) return size_t{0};
    ByteView rest = bytes_.view().subspan(static_cast<size_t>(offset));
    size_t n = std::min(rest.size(), out.size());
    std::copy_n(rest.begin(), n, out.begin());
    return n;
  }

  std::optional<Bytes> in_memory() override { return bytes_; }

  bool verified() const override { return true; }

 private:
  Bytes bytes_;
};

}  // namespace

const Digest& empty_digest() {
  static const Digest digest = blake3(ByteView());
  return digest;
}

std::unique_ptr<BlobReader> memory_blob_reader(Bytes bytes) {
  return std::make_unique<MemoryBlobReader>(std::move(bytes));
}

}  // namespace castore::store
