// SPDX-License-Identifier: MIT OR Apache-2.0
#include "config/open_services.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "backends/local/local_store.h"
#include "backends/memory/memory_services.h"

namespace castore::config {
namespace {

// `rest` is what stands behind "://".
Result<void> check_memory(std::string_view rest) {
  if (!rest.empty())
    return fail(ErrorKind::kInvalidArgument, "memory:// takes neither host nor path");
  return {};
}

Result<void> check_local(std::string_view rest) {
  if (!rest.starts_with('/'))
    return fail(ErrorKind::kInvalidArgument,
                "local:// needs an absolute folder after it, as in local:///srv/castore");
  return {};
}

Result<store::Services> open_memory(std::string_view, Access) {
  return backends::memory_services();
}

Result<store::Services> open_local(std::string_view folder, Access access) {
  auto mode =
      access == Access::kWrite ? backends::OpenMode::kCreate : backends::OpenMode::kExisting;
  return CASTORE_TRY(backends::LocalStore::open(std::string(folder), mode))->services();
}

// What stands before "://" in an address, and what opens the rest of it. An opener gives all the
// services of its backend; the caller takes the one the address is for.
struct Scheme {
  std::string_view name;
  std::string_view form;
  Result<void> (*check)(std::string_view rest);
  Result<store::Services> (*open)(std::string_view rest, Access access);
};

constexpr Scheme kSchemes[] = {
    {"memory", "memory://", check_memory, open_memory},
    {"local", "local:///DIR", check_local, open_local},
};

std::string known_forms() {
  std::string forms;
  for (const Scheme& scheme : kSchemes) {
    if (!forms.empty()) forms += ", ";
    forms += scheme.form;
  }
  return forms;
}

struct Address {
  const Scheme& scheme;
  std::string_view rest;
};

// Of an address somebody wrote. It keeps the text.
Result<Address> parse(std::string_view address) {
  constexpr std::string_view kSeparator = "://";
  size_t end = address.find(kSeparator);
  if (end == address.npos)
    return fail(ErrorKind::kInvalidArgument, "no scheme in the address (known: {})", known_forms());
  std::string_view name = address.substr(0, end);
  const auto* scheme = std::ranges::find(kSchemes, name, &Scheme::name);
  if (scheme == std::end(kSchemes))
    return fail(ErrorKind::kInvalidArgument, "unknown scheme '{}' (known: {})", name,
                known_forms());
  std::string_view rest = address.substr(end + kSeparator.size());
  CASTORE_TRY(scheme->check(rest));
  return Address{*scheme, rest};
}

// Errors name the address the way it was written.
Result<store::Services> open_given(std::string_view service, const std::string& address,
                                   Access access) {
  auto open = [&]() -> Result<store::Services> {
    auto [scheme, rest] = CASTORE_TRY(parse(address));
    return scheme.open(rest, access);
  };
  return CASTORE_TRY_WHILE(open(), "opening {} service {}", service, address);
}

constexpr std::string_view kLocal = "local://";

std::string home_folder() {
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') return home;
  struct passwd entry;
  struct passwd* found = nullptr;
  std::string buffer(16 * 1024, '\0');
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr)
    return entry.pw_dir;
  return "/";
}

}  // namespace

std::string default_store_folder() {
  if (::geteuid() == 0) return "/var/lib/castore";
  // A relative XDG folder is to be ignored, says its specification.
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/')
    return std::string(data) + "/castore";
  return home_folder() + "/.local/share/castore";
}

Result<backends::StoreCondition> inspect_stores(
    const ServiceAddresses& addresses, const std::function<void(backends::StoreFault)>& on_fault) {
  auto condition = backends::StoreCondition::kSound;
  for (const std::string& folder : local_places(addresses).folders)
    condition =
        std::max(condition, CASTORE_TRY_WHILE(backends::inspect_local_store(folder, on_fault),
                                              "inspecting the store {}", folder));
  return condition;
}

LocalPlaces local_places(const ServiceAddresses& addresses) {
  std::set<std::string> folders;
  for (const auto& address : {addresses.blobs, addresses.directories, addresses.path_infos}) {
    if (!address) folders.insert(addresses.store_folder);
    if (address && address->starts_with(kLocal)) folders.insert(address->substr(kLocal.size()));
  }
  LocalPlaces places;
  places.folders.assign(folders.begin(), folders.end());
  for (const std::string& folder : folders)
    places.written_files.push_back(backends::reader_lock_path(folder));
  return places;
}

ServiceAddresses with_folder_at(const ServiceAddresses& addresses, const std::string& folder) {
  ServiceAddresses moved = addresses;
  moved.store_folder = folder;
  for (auto* address : {&moved.blobs, &moved.directories, &moved.path_infos})
    if (*address && (*address)->starts_with(kLocal)) **address = std::string(kLocal) + folder;
  return moved;
}

Result<void> check_addresses(const ServiceAddresses& addresses) {
  if (addresses.store_folder.empty() &&
      !(addresses.blobs && addresses.directories && addresses.path_infos))
    return fail(ErrorKind::kInvalidArgument, "the name of the store folder is empty");
  if (addresses.blobs)
    CASTORE_TRY_WHILE(parse(*addresses.blobs), "blob service {}", *addresses.blobs);
  if (addresses.directories)
    CASTORE_TRY_WHILE(parse(*addresses.directories), "directory service {}",
                      *addresses.directories);
  if (addresses.path_infos)
    CASTORE_TRY_WHILE(parse(*addresses.path_infos), "path info service {}", *addresses.path_infos);
  return {};
}

Result<void> check_that_all_lasts(const ServiceAddresses& addresses, bool with_path_infos) {
  const auto forgets = [](const std::optional<std::string>& address) {
    return address && address->starts_with("memory:");
  };
  const bool path_infos_last = with_path_infos && !forgets(addresses.path_infos);
  const bool directories_last = !forgets(addresses.directories);
  if (forgets(addresses.blobs) && (directories_last || path_infos_last))
    return fail(ErrorKind::kInvalidArgument,
                "blobs would be forgotten at the end, and {} that refer to them would stay; give "
                "the address memory:// to all services, or to none",
                directories_last ? "directories" : "paths");
  if (!directories_last && path_infos_last)
    return fail(ErrorKind::kInvalidArgument,
                "directories would be forgotten at the end, and paths that refer to them would "
                "stay; give the address memory:// to all services, or to none");
  return {};
}

Result<store::Services> open_services(const ServiceAddresses& addresses, Access access) {
  CASTORE_TRY(check_addresses(addresses));
  store::Services services;
  if (addresses.blobs) {
    services = CASTORE_TRY(open_given("blob", *addresses.blobs, access));
    services.directories.reset();
    services.path_infos.reset();
    services.upkeep.reset();
  }
  if (addresses.directories)
    services.directories =
        CASTORE_TRY(open_given("directory", *addresses.directories, access)).directories;
  if (addresses.path_infos)
    services.path_infos =
        CASTORE_TRY(open_given("path info", *addresses.path_infos, access)).path_infos;
  if (addresses.blobs && addresses.directories && addresses.path_infos) return services;

  store::Services folder = CASTORE_TRY(open_local(addresses.store_folder, access));
  if (!addresses.blobs && !addresses.directories && !addresses.path_infos) return folder;
  if (!services.blobs) {
    services.blobs = std::move(folder.blobs);
    // The cache speaks of blobs, so it comes from where they are.
    services.import_cache = std::move(folder.import_cache);
  }
  if (!services.directories) services.directories = std::move(folder.directories);
  if (!services.path_infos) services.path_infos = std::move(folder.path_infos);
  return services;
}

}  // namespace castore::config
