// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/mount_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/display.h"
#include "cli/json.h"

namespace castore::cli {
namespace {

using nlohmann::json;

constexpr size_t kSystemFileBytesMax = 4096;

// Of this process; 0 where the system does not say.
uint64_t rss_bytes() {
  auto statm = read_whole_file("/proc/self/statm", kSystemFileBytesMax);
  unsigned long long all = 0;
  unsigned long long resident = 0;
  if (!statm || std::sscanf(statm->c_str(), "%llu %llu", &all, &resident) != 2) return 0;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

JsonObject object_of(const fs::CacheUse& cache) {
  return JsonObject().put("bytes", cache.bytes).put("hits", cache.hits).put("misses", cache.misses);
}

std::vector<JsonObject> objects_of(const std::vector<fuse::Statistics::Operation>& operations) {
  std::vector<JsonObject> objects;
  for (const auto& operation : operations)
    objects.push_back(JsonObject()
                          .put("name", fuse::name_of(operation.opcode))
                          .put("count", operation.count)
                          .put("errors", operation.errors)
                          .put("bytes", operation.bytes)
                          .put("p50_ns", static_cast<uint64_t>(operation.p50.count()))
                          .put("p99_ns", static_cast<uint64_t>(operation.p99.count())));
  return objects;
}

// A number out of a report, at keys one below the other.
uint64_t number(const json& report, std::initializer_list<const char*> keys) {
  const json* at = &report;
  for (const char* key : keys) {
    if (!at->is_object() || !at->contains(key)) return 0;
    at = &(*at)[key];
  }
  return at->is_number_unsigned() ? at->get<uint64_t>() : 0;
}

std::string word(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) return {};
  return display_text(object[key].get<std::string>());
}

const json& list(const json& report, const char* key) {
  static const json kEmpty = json::array();
  return report.contains(key) && report[key].is_array() ? report[key] : kEmpty;
}

std::string display_time(uint64_t ns) {
  if (ns < 10'000) return fmt::format("{:.1f} us", static_cast<double>(ns) / 1e3);
  if (ns < 10'000'000) return fmt::format("{} us", ns / 1000);
  return fmt::format("{} ms", ns / 1'000'000);
}

std::string cache_text(const json& report, const char* name) {
  return fmt::format("{} {} ({} hits, {} misses)", name,
                     display_bytes(number(report, {"caches", name, "bytes"})),
                     display_count(number(report, {"caches", name, "hits"})),
                     display_count(number(report, {"caches", name, "misses"})));
}

Result<json> parse(std::string_view report) {
  json parsed = json::parse(report, nullptr, false);
  if (!parsed.is_object()) return fail(ErrorKind::kCorrupt, "the server's answer is no report");
  return parsed;
}

std::vector<fuse_device::Note> notes_in(const json& report) {
  std::vector<fuse_device::Note> notes;
  for (const json& note : list(report, "notes"))
    notes.push_back({.found = word(note, "found"), .advice = word(note, "advice")});
  return notes;
}

}  // namespace

std::string mount_report(const fuse_device::MountFacts& facts) {
  std::vector<JsonObject> notes;
  for (const fuse_device::Note& note : facts.notes) {
    notes.push_back(JsonObject().put("found", note.found));
    if (!note.advice.empty()) notes.back().put("advice", note.advice);
  }
  return JsonObject()
      .put("read_path", to_string(facts.read_path))
      .put("transport", to_string(facts.transport))
      .put("threads", uint64_t{facts.threads})
      .put("protocol_minor", uint64_t{facts.session.minor})
      .put("notes", notes)
      .put("nodes", facts.totals.nodes)
      .put("node_bytes", facts.totals.node_bytes)
      .put("handles", facts.totals.handles)
      .put("handle_bytes", facts.totals.handle_bytes)
      .put("rss_bytes", rss_bytes())
      .put("caches", JsonObject()
                         .put("directories", object_of(facts.totals.directories))
                         .put("blobs", object_of(facts.totals.blobs)))
      .put("pool", JsonObject()
                       .put("queued", uint64_t{facts.deferred.queued})
                       .put("running", uint64_t{facts.deferred.running})
                       .put("stuck", uint64_t{facts.deferred.stuck})
                       .put("threads", uint64_t{facts.deferred.threads})
                       .put("timeouts", facts.deferred.timeouts))
      .put("passthrough",
           JsonObject().put("nodes", facts.backing.nodes).put("opens", facts.backing.opens))
      .put("operations", objects_of(facts.operations))
      .text();
}

Result<std::vector<std::string>> report_lines(std::string_view text) {
  json report = CASTORE_TRY(parse(text));
  auto count = [&](std::initializer_list<const char*> keys) {
    return display_count(number(report, keys));
  };
  auto bytes = [&](std::initializer_list<const char*> keys) {
    return display_bytes(number(report, keys));
  };
  std::vector<std::string> lines = {
      fmt::format("read path    {}", word(report, "read_path")),
      fmt::format("transport    {}, {} threads", word(report, "transport"), count({"threads"})),
  };
  for (const fuse_device::Note& note : notes_in(report))
    lines.push_back(fmt::format("note         {}", to_string(note)));
  lines.push_back(fmt::format("memory       {} resident", bytes({"rss_bytes"})));
  lines.push_back(fmt::format("nodes        {} ({})", count({"nodes"}), bytes({"node_bytes"})));
  lines.push_back(fmt::format("handles      {} ({})", count({"handles"}), bytes({"handle_bytes"})));
  lines.push_back(fmt::format("caches       {}, {}", cache_text(report, "directories"),
                              cache_text(report, "blobs")));
  lines.push_back(fmt::format("slow pool    {} queued, {} running, {} stuck, {} timed out",
                              count({"pool", "queued"}), count({"pool", "running"}),
                              count({"pool", "stuck"}), count({"pool", "timeouts"})));
  lines.push_back(fmt::format("passthrough  {} files now, {} opens",
                              count({"passthrough", "nodes"}), count({"passthrough", "opens"})));
  lines.push_back(fmt::format("{:<14}{:>14}{:>10}{:>12}{:>10}{:>10}", "operation", "count",
                              "errors", "bytes", "p50", "p99"));
  for (const json& operation : list(report, "operations"))
    lines.push_back(fmt::format(
        "{:<14}{:>14}{:>10}{:>12}{:>10}{:>10}", word(operation, "name"),
        display_count(number(operation, {"count"})), display_count(number(operation, {"errors"})),
        display_bytes(number(operation, {"bytes"})), display_time(number(operation, {"p50_ns"})),
        display_time(number(operation, {"p99_ns"}))));
  return lines;
}

Result<ReportSummary> summary_of(std::string_view text) {
  json report = CASTORE_TRY(parse(text));
  return ReportSummary{.read_path = word(report, "read_path"),
                       .transport = word(report, "transport"),
                       .notes = notes_in(report)};
}

}  // namespace castore::cli
