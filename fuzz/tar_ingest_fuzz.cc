// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Whatever is read as a tar archive, ingestion ends with an error or with a tree that is all there,
// and both kinds of root hold the same.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "backends/memory/memory_services.h"
#include "base/bytes.h"
#include "base/check.h"
#include "transfer/archive_source.h"
#include "transfer/render_nar.h"

namespace castore {
namespace {

constexpr transfer::ArchiveLimits kLimits{.unpacked_bytes_max = 1 << 20,
                                          .content_bytes_max = 1 << 20};

Result<transfer::Ingested> ingest(const store::Services& services, ByteView input,
                                  transfer::ArchiveRoot root) {
  const auto read = [&input](MutableByteView out) -> Result<size_t> {
    const size_t length = std::min(out.size(), input.size());
    std::memcpy(out.data(), input.data(), length);
    input = input.subspan(length);
    return length;
  };
  transfer::Tally tally;
  return transfer::ingest_archive_bytes({}, services, read, "input", root, {.compute_nar = true},
                                        kLimits, tally);
}

void check_whole(const store::Services& services, const transfer::Ingested& ingested) {
  const auto nar = transfer::summarize_nar({}, services, ingested.root);
  CASTORE_CHECK(nar.has_value(), "a tree was ingested that is not all there");
  CASTORE_CHECK(*nar == *ingested.nar, "the NAR of one tree was computed differently");
}

}  // namespace
}  // namespace castore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace castore;
  spdlog::set_level(spdlog::level::off);
  const ByteView input = std::as_bytes(std::span(data, size));
  const store::Services services = backends::memory_services();
  const auto whole = ingest(services, input, transfer::ArchiveRoot::kWhole);
  const auto single = ingest(services, input, transfer::ArchiveRoot::kSingle);
  CASTORE_CHECK(whole || !single, "an archive has one root and cannot be read as a whole");
  if (!whole) {
    CASTORE_CHECK(!whole.error().message().empty(), "a refusal without a reason");
    return 0;
  }
  check_whole(services, *whole);
  if (!single) return 0;
  check_whole(services, *single);
  const auto& top = std::get<DirectoryNode>(whole->root);
  const auto directory = services.directories->get({}, top.digest);
  CASTORE_CHECK(directory && *directory && (*directory)->entry_count() == 1 &&
                    (*directory)->entry(0).to_node() == single->root,
                "the one root of an archive is not what is in the whole");
  return 0;
}
