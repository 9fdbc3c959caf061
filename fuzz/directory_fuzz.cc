// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Whatever bytes the Directory decoder accepts are the bytes our own encoder would have written,
// and each entry can be found again by its name.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "model/directory.h"

namespace castore {
namespace {

void check_names(const Directory& directory) {
  std::string_view previous;
  for (size_t i = 0; i < directory.entry_count(); ++i) {
    const DirectoryEntry entry = directory.entry(i);
    CASTORE_CHECK(!check_name(entry.name), "a decoded directory has an invalid name");
    CASTORE_CHECK(previous < entry.name, "a decoded directory is not in strict order");
    previous = entry.name;

    const auto found = directory.lookup(entry.name);
    CASTORE_CHECK(found && found->name == entry.name && found->to_node() == entry.to_node(),
                  "lookup does not find an entry that is listed");
    CASTORE_CHECK(directory.upper_bound(entry.name) == i + 1,
                  "a listing would not go on after an entry");
  }
}

void check_encoding(const Directory& directory) {
  // Backwards, so that the builder has something to sort.
  DirectoryBuilder builder;
  for (size_t i = directory.entry_count(); i-- > 0;) {
    const DirectoryEntry entry = directory.entry(i);
    CASTORE_CHECK(builder.add(entry.name, entry.to_node()).has_value(),
                  "the builder refuses an entry that the decoder accepted");
  }
  const auto rebuilt = builder.build();
  CASTORE_CHECK(rebuilt.has_value(), "the builder refuses a directory that the decoder accepted");
  CASTORE_CHECK(rebuilt->encoded() == directory.encoded(), "two encodings of one directory differ");
}

void check_sizes(const Directory& directory) {
  for (SizeConvention convention : {SizeConvention::kDocumented, SizeConvention::kDoubled})
    CASTORE_CHECK(directory.accepts_recorded_size(directory.size(convention)),
                  "a directory refuses its own size");
}

}  // namespace
}  // namespace castore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace castore;
  const ByteView input = std::as_bytes(std::span(data, size));
  const auto directory = Directory::decode(Bytes::copy_of(input));
  if (!directory) {
    CASTORE_CHECK(!directory.error().message().empty(), "a refusal without a reason");
    return 0;
  }
  CASTORE_CHECK(directory->encoded().view().size() == size, "decoding changed the bytes");
  check_names(*directory);
  check_encoding(*directory);
  check_sizes(*directory);
  return 0;
}
