// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "model/directory.h"
#include "model/node.h"
#include "store/services.h"

namespace castore::store::testing {

// Stores a tree that a test writes down in one expression:
//
//   Node root = TreeBuilder(services)
//                   .file("bin/sh", "...", true)
//                   .symlink("lib", "lib64")
//                   .directory("empty")
//                   .build();
//
// Folders on the way to an entry need not be mentioned. A path that cannot be, or is used twice,
// fails the test as `must` does.
class TreeBuilder {
 public:
  explicit TreeBuilder(Services services);

  TreeBuilder& file(std::string_view path, std::string_view content, bool executable = false);
  TreeBuilder& symlink(std::string_view path, std::string target);
  TreeBuilder& directory(std::string_view path);
  // Puts a node as it is, which need not be stored or right.
  TreeBuilder& node(std::string_view path, Node node);

  // Stores the directories, children first, and gives the root. Called once, last.
  Node build(SizeConvention convention = SizeConvention::kDocumented);

 private:
  // The entries made out so far, by name.
  using Entries = std::map<std::string, Node, std::less<>>;

  Entries& folder(std::string_view path);

  Services services_;
  std::map<std::string, Entries, std::less<>> folders_;  // by path; the root's is ""
};

}  // namespace castore::store::testing
