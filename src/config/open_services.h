// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/local/inspection.h"
#include "base/result.h"
#include "store/services.h"

namespace castore::config {

// Where a command finds its services. An unset address means the store folder.
struct ServiceAddresses {
  std::string store_folder = {};  // as from `default_store_folder`
  std::optional<std::string> blobs = {};
  std::optional<std::string> directories = {};
  std::optional<std::string> path_infos = {};
};

// $XDG_DATA_HOME/castore, or ~/.local/share/castore; for root /var/lib/castore.
std::string default_store_folder();

enum class Access {
  kWrite,  // a local store that does not exist is made
  kRead,   // a local store that does not exist is an error that says how to make one
};

// Looks at the local stores among the addresses, beneath their objects: see
// backends/local/inspection.h. Before they are opened.
Result<backends::StoreCondition> inspect_stores(
    const ServiceAddresses& addresses, const std::function<void(backends::StoreFault)>& on_fault);

// What is stored refers to what was stored before it: paths to directories and blobs, directories
// to blobs. kInvalidArgument where the former would last and the latter be forgotten with the
// process.
Result<void> check_that_all_lasts(const ServiceAddresses& addresses, bool with_path_infos);

// What the local stores among the addresses are on disk.
struct LocalPlaces {
  std::vector<std::string> folders;        // each once
  std::vector<std::string> written_files;  // in them, which also those write to who only read
};
LocalPlaces local_places(const ServiceAddresses& addresses);

// The same addresses where the one folder of local_places is elsewhere, as in a process
// that has it for its root.
ServiceAddresses with_folder_at(const ServiceAddresses& addresses, const std::string& folder);

// Whether each is an address: `memory://` or `local:///DIR`. kInvalidArgument says of which what is
// wrong; for an unknown scheme it lists the known ones. Opens nothing.
Result<void> check_addresses(const ServiceAddresses& addresses);

// Opens the three services; addresses are checked as above. Not before the last fork of the
// process.
Result<store::Services> open_services(const ServiceAddresses& addresses, Access access);

}  // namespace castore::config
