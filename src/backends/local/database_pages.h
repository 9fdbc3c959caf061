// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "backends/local/database.h"
#include "base/bytes.h"
#include "base/result.h"

namespace castore::backends::local {

// What a look at the pages of a database hands over. Tables come one after the other, the packs
// first.
struct PageVisitor {
  std::function<void(Table table, ByteView key, ByteView value)> on_record;
  std::function<void(std::string detail)> on_fault;  // names the page
};

// Reads the database file page by page, without LMDB, which trusts what it maps and would crash or
// answer wrongly where a page is damaged. False when something was found: LMDB must not open the
// file then. Sees one moment of it, whoever writes meanwhile.
//
// Not while this process has the store open (LMDB's locks would be lost).
Result<bool> visit_pages(const std::string& path, const PageVisitor& visitor);

}  // namespace castore::backends::local
