// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <spdlog/spdlog.h>

#include <memory>
#include <string_view>

#include "backends/memory/memory_services.h"
#include "base/bytes.h"
#include "base/check.h"
#include "digest/blake3.h"
#include "fs/filesystem.h"
#include "fs/root.h"

namespace castore::fuzz {

// A filesystem with one file "hello", for a target whose input brings the requests. Each is a new
// one; they share a store in memory, which answers at once.
inline std::shared_ptr<fs::Filesystem> shown_filesystem() {
  static const store::Services services = [] {
    spdlog::set_level(spdlog::level::off);
    return backends::memory_services();
  }();
  static const std::shared_ptr<fs::RootProvider> root = [] {
    const Bytes hello = Bytes::copy_of(std::string_view("Hello World!"));
    const Digest digest = blake3(hello.view());
    CASTORE_CHECK(services.blobs->put({}, digest, hello).has_value(), "memory is there");
    return fs::map_root({{"hello", FileNode{digest, hello.size(), false}}});
  }();
  return std::make_shared<fs::Filesystem>(services.blobs, services.directories, root,
                                          fs::FilesystemOptions{.list_root = true});
}

}  // namespace castore::fuzz
