// SPDX-License-Identifier: MIT OR Apache-2.0
// Writes a tree of many entries into a store, for bench/mount_memory.py; never installed.
//
//   wide_store STORE ENTRIES PER_FOLDER     prints the digest of the tree
//
// Below the root are folders of PER_FOLDER files each. No two files have the same content, so each
// is a node of its own to a mount; and the contents are not stored, as nobody reads them: the
// directories are written through the service, which takes seconds where an import would take an
// hour.
#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "backends/local/local_store.h"
#include "base/context.h"
#include "digest/blake3.h"
#include "model/directory.h"

namespace {

using namespace castore;

constexpr uint64_t kFileBytes = 4096;

Result<Digest> write_tree(const std::string& folder, uint64_t entries, uint64_t per_folder) {
  auto store = CASTORE_TRY(backends::LocalStore::open(folder, backends::OpenMode::kCreate));
  auto directories = store->directories();
  DirectoryBuilder root;
  for (uint64_t written = 0; written < entries;) {
    DirectoryBuilder builder;
    for (uint64_t i = 0; i < per_folder && written < entries; ++i, ++written) {
      std::string name = fmt::format("file-{:08}", written);
      CASTORE_TRY(builder.add(name, FileNode{blake3(name), kFileBytes, false}));
    }
    auto directory = builder.build();
    if (!directory) return fail(ErrorKind::kInternal, "the entries make no directory");
    CASTORE_TRY(directories->put(Context(), *directory));
    CASTORE_TRY(root.add(fmt::format("folder-{:08}", written),
                         DirectoryNode{directory->digest(), directory->entry_count()}));
  }
  auto top = root.build();
  if (!top) return fail(ErrorKind::kInternal, "the folders make no directory");
  CASTORE_TRY(directories->put(Context(), *top));
  CASTORE_TRY(directories->sync(Context()));
  return top->digest();
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  auto entries = argc == 4 ? number(argv[2]) : std::nullopt;
  auto per_folder = argc == 4 ? number(argv[3]) : std::nullopt;
  if (!entries || !per_folder) {
    fmt::print(stderr, "usage: wide_store STORE ENTRIES PER_FOLDER\n");
    return 2;
  }
  auto digest = write_tree(argv[1], *entries, *per_folder);
  if (!digest) {
    fmt::print(stderr, "wide_store: {}\n", digest.error().message());
    return 1;
  }
  fmt::print("{}\n", digest->to_text());
  return 0;
}
