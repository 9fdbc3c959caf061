// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The layout is that of LMDB 0.9 on a 64-bit little-endian machine (MDB_DATA_VERSION 1): pages 0
// and 1 are two versions of the meta page, of which the one with the higher transaction is in
// force. It names the roots of two trees: the free pages, and the main tree, whose values are the
// roots of our tables. A page holds a header of 16 bytes, offsets of its nodes growing up, and
// nodes growing down. A value that is too long for a page has overflow pages of its own.
#include "backends/local/database_pages.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/file.h"

namespace castore::backends::local {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kHeaderBytes = 16;
constexpr size_t kNodeHeaderBytes = 8;
constexpr size_t kDepthMax = 32;  // more cannot be: a page has two nodes at least
constexpr uint64_t kNoPage = UINT64_MAX;
constexpr uint64_t kFaultsMax = 50;  // after so many the next says nothing new

constexpr uint16_t kBranch = 0x01;
constexpr uint16_t kLeaf = 0x02;
constexpr uint16_t kOverflow = 0x04;
constexpr uint16_t kMeta = 0x08;

constexpr uint16_t kBigData = 0x01;
constexpr uint16_t kSubData = 0x02;

constexpr uint32_t kMagic = 0xBEEFC0DE;
constexpr uint32_t kDataVersion = 1;
constexpr uint16_t kIntegerKey = 0x08;
constexpr uint16_t kTreeKindFlags = 0x7f;

using Page = std::array<std::byte, kPageBytes>;

template <typename Number>
Number number_at(ByteView bytes, size_t offset) {
  Number value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// The record of a tree, 48 bytes.
struct Tree {
  static constexpr size_t kBytes = 48;

  explicit Tree(ByteView record)
      : page_bytes(number_at<uint32_t>(record, 0)),
        flags(number_at<uint16_t>(record, 4)),
        depth(number_at<uint16_t>(record, 6)),
        branch_pages(number_at<uint64_t>(record, 8)),
        leaf_pages(number_at<uint64_t>(record, 16)),
        overflow_pages(number_at<uint64_t>(record, 24)),
        entries(number_at<uint64_t>(record, 32)),
        root(number_at<uint64_t>(record, 40)) {}

  uint32_t page_bytes;  // in the record of the free pages
  uint16_t flags;
  uint16_t depth;
  uint64_t branch_pages;
  uint64_t leaf_pages;
  uint64_t overflow_pages;
  uint64_t entries;
  uint64_t root;
};

struct Meta {
  explicit Meta(ByteView page)
      : is_meta(number_at<uint16_t>(page, 10) == kMeta),
        magic(number_at<uint32_t>(page, 16)),
        version(number_at<uint32_t>(page, 20)),
        free(page.subspan(40, Tree::kBytes)),
        main(page.subspan(88, Tree::kBytes)),
        last_page(number_at<uint64_t>(page, 136)),
        transaction(number_at<uint64_t>(page, 144)) {}

  bool is_meta;
  uint32_t magic;
  uint32_t version;
  Tree free;
  Tree main;
  uint64_t last_page;
  uint64_t transaction;
};

struct Node {
  uint16_t flags = 0;
  ByteView key;
  uint64_t child = 0;   // in a branch
  uint32_t length = 0;  // of the value, in a leaf
  ByteView value;       // on the page itself

  size_t bytes() const {
    size_t bytes = kNodeHeaderBytes + key.size() + value.size();
    return bytes + bytes % 2;
  }
};

// Keeps the pages of one moment from being used again, by the mark LMDB has for readers. Neither
// opening a database nor beginning to read looks at more than the meta pages.
class Pin {
 public:
  static Result<std::unique_ptr<Pin>> set(const std::string& path) {
    auto pin = std::make_unique<Pin>();
    int code = mdb_env_create(&pin->env_);
    if (code == 0) code = mdb_env_set_mapsize(pin->env_, kDatabaseBytesMax);
    if (code == 0) code = mdb_env_open(pin->env_, path.c_str(), read_only_flags(path), 0);
    if (code == 0) code = mdb_txn_begin(pin->env_, nullptr, MDB_RDONLY, &pin->txn_);
    if (code == 0) return pin;
    return fail(ErrorKind::kCorrupt, "opening {}: {}", path, mdb_strerror(code));
  }
  ~Pin() {
    if (txn_ != nullptr) mdb_txn_abort(txn_);
    if (env_ != nullptr) mdb_env_close(env_);
  }

  uint64_t transaction() const { return mdb_txn_id(txn_); }

 private:
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
};

class PageWalk {
 public:
  PageWalk(int fd, std::string path, const PageVisitor& visitor)
      : fd_(fd), path_(std::move(path)), visitor_(visitor) {}

  bool is_sound() const { return faults_ == 0; }

  // The meta pages as they are before anything is pinned. Newer ones may come at any moment.
  void check_metas() {
    std::array<std::optional<Meta>, 2> metas;
    for (uint64_t number : {0, 1}) {
      Page page;
      if (!read(number, page)) return;
      metas[number].emplace(page);
      const Meta& meta = *metas[number];
      if (!meta.is_meta || meta.magic != kMagic || meta.version != kDataVersion)
        fault(number, "is not a meta page of LMDB");
      else if (meta.free.page_bytes != kPageBytes)
        fault(number, "tells of another page size");
      else if ((meta.free.flags & kTreeKindFlags) != kIntegerKey ||
               (meta.main.flags & kTreeKindFlags) != 0)
        fault(number, "tells of trees of another kind");
      else if (meta.transaction != 0 && meta.transaction % 2 != number)
        fault(number, fmt::format("cannot be that of transaction {}", meta.transaction));
    }
  }

  Result<void> walk(const Pin& pin) {
    Page page;
    const uint64_t number = pin.transaction() % 2;
    if (!read(number, page)) return {};
    const Meta meta(page);
    if (meta.transaction != pin.transaction())
      return fail(ErrorKind::kUnavailable, "{} is being written to; try again", path_);
    // What it follows on. One commit may have come since, and then it is the next.
    Page other_page;
    if (!read(1 - number, other_page)) return {};
    const uint64_t other = Meta(other_page).transaction;
    if (other + 1 != meta.transaction && other != meta.transaction + 1 &&
        !(other == 0 && meta.transaction == 0))
      fault(1 - number,
            fmt::format("is that of transaction {}, beside one of {}", other, meta.transaction));
    last_page_ = meta.last_page;
    auto status = CASTORE_TRY(stat_fd(fd_, path_));
    const uint64_t file_pages = static_cast<uint64_t>(status.st_size) / kPageBytes;
    // A few pages at the end may have been given up before they were ever written.
    states_.resize(static_cast<size_t>(std::min(last_page_ + 1, file_pages)), State::kUnseen);

    std::array<std::optional<Tree>, kTableCount> tables;
    walk_tree("the list of tables", meta.main, false, [&](const Node& node) {
      for (size_t i = 0; i < kTableCount; ++i)
        if (text_of(node.key) == kTableNames[i] && node.flags == kSubData &&
            node.value.size() == Tree::kBytes)
          tables[i].emplace(node.value);
      return node.flags == kSubData;
    });
    for (Table table : {Table::kPacks, Table::kBlobs, Table::kDirectories, Table::kPathInfos,
                        Table::kSources, Table::kNars}) {
      const auto i = static_cast<size_t>(table);
      std::string name = fmt::format("table {}", kTableNames[i]);
      if (!tables[i])
        fault(fmt::format("{} is not there", name));
      else if (tables[i]->flags != 0)
        fault(fmt::format("{} is of another kind", name));
      else
        walk_tree(name, *tables[i], false, [&](const Node& node) {
          if (node.flags == 0) visitor_.on_record(table, node.key, node.value);
          return node.flags == 0 || node.flags == kBigData;
        });
    }
    walk_free_pages(meta.free);
    return {};
  }

 private:
  enum class State : uint8_t { kUnseen, kUsed, kFree };

  // A page on the way down, with the keys between which its own must be.
  struct Level {
    Page page;
    size_t next = 0;
    std::string from;
    std::optional<std::string> to;
  };

  void fault(std::string detail) {
    if (++faults_ <= kFaultsMax) visitor_.on_fault(std::move(detail));
  }
  void fault(uint64_t page, std::string_view what) { fault(fmt::format("page {} {}", page, what)); }

  bool read(uint64_t number, Page& page) {
    auto n = read_at(fd_, number * kPageBytes, page, path_);
    if (n && *n == page.size()) return true;
    fault(number, n ? "is beyond the end of the file" : "cannot be read: " + n.error().message());
    return false;
  }

  // Takes a page for the tree that is walked. False, and a fault, when it cannot be its.
  bool claim(uint64_t number, std::string_view owner) {
    if (number < 2 || number >= states_.size()) {
      fault(fmt::format("{} refers to page {}, which there is not", owner, number));
      return false;
    }
    if (states_[number] != State::kUnseen) {
      fault(number, fmt::format("is used twice, the second time by {}", owner));
      return false;
    }
    states_[number] = State::kUsed;
    return true;
  }

  static size_t node_count(const Page& page) {
    return (number_at<uint16_t>(page, 12) - kHeaderBytes) / 2;
  }

  // The node, when it lies within the page.
  static std::optional<Node> node_at(const Page& page, size_t i) {
    const ByteView bytes(page);
    const size_t offset = number_at<uint16_t>(page, kHeaderBytes + 2 * i);
    const size_t upper = number_at<uint16_t>(page, 14);
    if (offset < upper || offset % 2 != 0 || offset + kNodeHeaderBytes > kPageBytes)
      return std::nullopt;
    Node node;
    const uint32_t low = number_at<uint16_t>(page, offset);
    const uint32_t high = number_at<uint16_t>(page, offset + 2);
    const uint16_t flags = number_at<uint16_t>(page, offset + 4);
    const size_t key_bytes = number_at<uint16_t>(page, offset + 6);
    size_t value_bytes = 0;
    if (number_at<uint16_t>(page, 10) == kBranch) {
      node.child = low | high << 16 | uint64_t{flags} << 32;
    } else {
      node.flags = flags;
      node.length = low | high << 16;
      value_bytes = (flags & kBigData) != 0 ? sizeof(uint64_t) : node.length;
    }
    if (offset + kNodeHeaderBytes + key_bytes + value_bytes > kPageBytes) return std::nullopt;
    node.key = bytes.subspan(offset + kNodeHeaderBytes, key_bytes);
    node.value = bytes.subspan(offset + kNodeHeaderBytes + key_bytes, value_bytes);
    return node;
  }

  // What is wrong with a page by itself; "" if nothing.
  static std::string_view fault_of(const Page& page, uint64_t number, uint16_t kind) {
    const size_t lower = number_at<uint16_t>(page, 12);
    const size_t upper = number_at<uint16_t>(page, 14);
    if (number_at<uint64_t>(page, 0) != number) return "has the number of another";
    if (number_at<uint16_t>(page, 10) != kind) return "is of another kind than its place";
    if (lower < kHeaderBytes || lower % 2 != 0 || lower > upper || upper > kPageBytes)
      return "has a damaged header";
    const size_t count = node_count(page);
    if (count < (kind == kBranch ? 2u : 1u)) return "has too few entries";
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) {
      auto node = node_at(page, i);
      if (!node) return "has an entry that does not fit into it";
      bytes += node->bytes();
    }
    return bytes == kPageBytes - upper ? "" : "has entries of damaged lengths";
  }

  static bool is_before(ByteView a, ByteView b, bool integers) {
    if (!integers) return text_of(a) < text_of(b);
    return a.size() == 8 && b.size() == 8 && number_at<uint64_t>(a, 0) < number_at<uint64_t>(b, 0);
  }

  // Visits the nodes of all leaves. `visit` says whether the node is one there should be.
  template <typename Visit>
  void walk_tree(const std::string& name, const Tree& tree, bool integers, Visit visit) {
    uint64_t branches = 0;
    uint64_t leaves = 0;
    uint64_t overflows = 0;
    uint64_t entries = 0;
    const uint64_t faults_before = faults_;
    std::vector<Level> levels;
    auto enter = [&](uint64_t number, std::string from, std::optional<std::string> to) {
      const bool is_leaf = levels.size() + 1 == tree.depth;
      Level level{.page = {}, .next = 0, .from = std::move(from), .to = std::move(to)};
      if (!claim(number, name) || !read(number, level.page)) return;
      if (auto what = fault_of(level.page, number, is_leaf ? kLeaf : kBranch); !what.empty())
        return fault(number, fmt::format("(of {}) {}", name, what));
      for (size_t i = is_leaf ? 0 : 1; i < node_count(level.page); ++i) {
        ByteView key = node_at(level.page, i)->key;
        const bool is_first = i == (is_leaf ? 0 : 1);
        ByteView before = is_first ? bytes_of(level.from) : node_at(level.page, i - 1)->key;
        // The first key of a page may be the one that led to it; of the next pages, never.
        bool in_order = is_before(before, key, integers) ||
                        (is_first && (before.empty() || text_of(before) == text_of(key)));
        if (!in_order || (level.to && !is_before(key, bytes_of(*level.to), integers)))
          return fault(number, fmt::format("(of {}) has entries out of their order", name));
      }
      (is_leaf ? leaves : branches)++;
      levels.push_back(std::move(level));
    };

    if (tree.root == kNoPage) {
      if (tree.entries != 0) fault(fmt::format("{} has lost its pages", name));
      return;
    }
    if (tree.depth == 0 || tree.depth > kDepthMax)
      return fault(fmt::format("{} has a damaged depth", name));
    enter(tree.root, "", std::nullopt);
    while (!levels.empty() && faults_ <= kFaultsMax) {
      Level& level = levels.back();
      if (level.next == node_count(level.page)) {
        levels.pop_back();
        continue;
      }
      const size_t i = level.next++;
      Node node = *node_at(level.page, i);
      if (levels.size() < tree.depth) {
        std::string from(i == 0 ? std::string_view(level.from) : text_of(node.key));
        std::optional<std::string> to = level.to;
        if (level.next < node_count(level.page))
          to = std::string(text_of(node_at(level.page, level.next)->key));
        enter(node.child, std::move(from), std::move(to));
        continue;
      }
      ++entries;
      std::vector<std::byte> long_value;
      if ((node.flags & kBigData) != 0) {
        overflows += read_overflow(name, node, long_value);
        node.value = long_value;
        node.flags = static_cast<uint16_t>(node.flags & ~kBigData);
      }
      if (!visit(node)) fault(fmt::format("{} has an entry of another kind", name));
    }
    if (faults_ == faults_before &&
        (entries != tree.entries || leaves != tree.leaf_pages || branches != tree.branch_pages ||
         overflows != tree.overflow_pages))
      fault(fmt::format("{} has {} entries on {} pages, and says {} on {}", name, entries,
                        branches + leaves + overflows, tree.entries,
                        tree.branch_pages + tree.leaf_pages + tree.overflow_pages));
  }

  // The number of overflow pages.
  uint64_t read_overflow(const std::string& name, const Node& node, std::vector<std::byte>& value) {
    const uint64_t first = number_at<uint64_t>(node.value, 0);
    Page page;
    if (!claim(first, name) || !read(first, page)) return 0;
    const uint64_t count = number_at<uint32_t>(page, 12);
    if (number_at<uint64_t>(page, 0) != first || number_at<uint16_t>(page, 10) != kOverflow ||
        count * kPageBytes < kHeaderBytes + uint64_t{node.length} ||
        first + count > states_.size()) {
      fault(first, fmt::format("(of {}) is not the long value it should be", name));
      return 0;
    }
    for (uint64_t i = 1; i < count; ++i)
      if (!claim(first + i, name)) return count;
    value.resize(node.length);
    auto n = read_at(fd_, first * kPageBytes + kHeaderBytes, value, path_);
    if (!n || *n != value.size()) fault(first, "and those after it cannot be read");
    return count;
  }

  // A page that is both free and in use would be written over by the next transactions.
  void walk_free_pages(const Tree& tree) {
    std::vector<uint64_t> free;
    walk_tree("the list of free pages", tree, true, [&](const Node& node) {
      if (node.flags != 0 || node.value.size() < 8 || node.value.size() % 8 != 0 ||
          number_at<uint64_t>(node.value, 0) != node.value.size() / 8 - 1)
        return false;
      for (size_t i = 8; i < node.value.size(); i += 8)
        free.push_back(number_at<uint64_t>(node.value, i));
      return true;
    });
    for (uint64_t number : free) {
      if (number < 2 || number > last_page_) {
        fault(fmt::format("the list of free pages names page {}, which there is not", number));
      } else if (number < states_.size()) {
        if (states_[number] != State::kUnseen)
          fault(number, "is in the list of free pages, and is not");
        states_[number] = State::kFree;
      }
    }
    // Pages that are neither were lost, which harms nobody.
  }

  const int fd_;
  const std::string path_;
  const PageVisitor& visitor_;
  uint64_t last_page_ = 0;
  std::vector<State> states_;
  uint64_t faults_ = 0;
};

}  // namespace

Result<bool> visit_pages(const std::string& path, const PageVisitor& visitor) {
  UniqueFd fd = CASTORE_TRY(open_file(path, O_RDONLY));
  PageWalk walk(fd.get(), path, visitor);
  walk.check_metas();
  if (!walk.is_sound()) return false;
  auto pin = Pin::set(path);
  if (!pin) {
    visitor.on_fault(pin.error().message());
    return false;
  }
  CASTORE_TRY(walk.walk(**pin));
  return walk.is_sound();
}

}  // namespace castore::backends::local
