// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/thread_pool.h"
#include "cli/display.h"
#include "cli/doctor_checks.h"
#include "config/store_facts.h"

// What doctor looks at around the store: limits of the process, the folder, the addresses.
namespace castore::cli {
namespace {

// A mount holds one for each large file that is open in it; everything else needs few.
constexpr rlim_t kDescriptorsWanted = 4096;
constexpr uint64_t kDiskBytesFreeWanted = uint64_t{1} << 30;

std::string limit_text(rlim_t limit) {
  return limit == RLIM_INFINITY ? "unlimited" : fmt::to_string(limit);
}

Check check_descriptors() {
  Check check{.topic = "descriptors"};
  struct rlimit limit = {};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  check.facts.put("limit", uint64_t{limit.rlim_cur});
  check.found = fmt::format("{} at most", limit_text(limit.rlim_cur));
  if (limit.rlim_cur < kDescriptorsWanted) {
    check.state = CheckState::kNote;
    check.advice = fmt::format(
        "a mount needs one for each large file that is open in it: allow {} (ulimit -Hn)",
        kDescriptorsWanted);
  }
  return check;
}

Check check_folder_and_content(const config::StoreFacts& facts) {
  Check check{.topic = "store"};
  check.found = fmt::format(
      "{}: format {}, {} paths, {} directories, {} blobs, small ones: {} (packs: {}), database "
      "{}, {} free on its disk",
      facts.folder, facts.format_version, display_count(facts.path_infos),
      display_count(facts.directories), display_count(facts.blobs), display_bytes(facts.pack_bytes),
      display_count(facts.packs), display_bytes(facts.database_bytes),
      display_bytes(facts.disk_bytes_free));
  check.facts.put_bytes("folder", facts.folder)
      .put("format_version", uint64_t{facts.format_version})
      .put("paths", facts.path_infos)
      .put("directories", facts.directories)
      .put("blobs", facts.blobs)
      .put("packs", facts.packs)
      .put("pack_bytes", facts.pack_bytes)
      .put("database_bytes", facts.database_bytes)
      .put("database_bytes_max", facts.database_bytes_max)
      .put("disk_bytes_free", facts.disk_bytes_free);
  if (facts.database_bytes > facts.database_bytes_max / 10 * 9) {
    check.state = CheckState::kNote;
    check.advice = fmt::format("the database may grow to {} and is nearly there",
                               display_bytes(facts.database_bytes_max));
  } else if (facts.disk_bytes_free < kDiskBytesFreeWanted) {
    check.state = CheckState::kNote;
    check.advice = "little room is left: an import that runs out of it fails, and loses nothing";
  }
  return check;
}

// The database is mapped whole, so a limit of the address space bounds it.
Check check_address_space(const config::StoreFacts& facts) {
  Check check{.topic = "address space"};
  struct rlimit limit = {};
  (void)::getrlimit(RLIMIT_AS, &limit);
  check.found = limit_text(limit.rlim_cur);
  check.facts.put("limited", limit.rlim_cur != RLIM_INFINITY);
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < facts.database_bytes_max * 2) {
    check.state = CheckState::kProblem;
    check.advice = fmt::format("the store's database maps {}: raise the limit (ulimit -v)",
                               display_bytes(facts.database_bytes_max));
  }
  return check;
}

Check check_address(std::string_view service, const std::string& address) {
  return {.state = CheckState::kOk,
          .topic = fmt::format("{} address", service),
          .found = address,
          .advice = "",
          .facts = JsonObject().put_bytes("address", address)};
}

}  // namespace

std::string_view to_string(CheckState state) {
  switch (state) {
    case CheckState::kOk:
      return "ok";
    case CheckState::kNote:
      return "note";
    case CheckState::kProblem:
      return "problem";
  }
  return "";
}

std::vector<Check> check_limits() {
  Check processors{.topic = "processors",
                   .found = fmt::format("{} usable", cpu_count()),
                   .advice = "",
                   .facts = JsonObject().put("count", uint64_t{cpu_count()})};
  return {std::move(processors), check_descriptors()};
}

std::vector<Check> check_store(const Session& session) {
  const config::ServiceAddresses& addresses = session.addresses();
  std::vector<Check> checks;
  if (addresses.blobs) checks.push_back(check_address("blob", *addresses.blobs));
  if (addresses.directories) checks.push_back(check_address("directory", *addresses.directories));
  if (addresses.path_infos) checks.push_back(check_address("path info", *addresses.path_infos));

  auto facts = config::store_facts(addresses.store_folder);
  if (facts) {
    checks.push_back(check_folder_and_content(*facts));
    checks.push_back(check_address_space(*facts));
  } else if (facts.error().kind() == ErrorKind::kNotFound) {
    checks.push_back({.state = CheckState::kNote,
                      .topic = "store",
                      .found = fmt::format("none yet in {}", addresses.store_folder),
                      .advice = "the first `castore import PATH` makes it; --store or "
                                "CASTORE_STORE names another folder",
                      .facts = JsonObject().put_bytes("folder", addresses.store_folder)});
  } else {
    checks.push_back({.state = CheckState::kProblem,
                      .topic = "store",
                      .found = facts.error().message(),
                      .advice = facts.error().kind() == ErrorKind::kDenied
                                    ? "run as the store's owner, or name another with --store"
                                    : "name another store with --store, or restore this one",
                      .facts = JsonObject().put_bytes("folder", addresses.store_folder)});
  }
  return checks;
}

}  // namespace castore::cli
