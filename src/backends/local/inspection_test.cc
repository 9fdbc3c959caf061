// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/inspection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

#include "backends/local/database.h"
#include "backends/local/format.h"
#include "backends/local/local_store.h"
#include "backends/local/pack_files.h"
#include "base/file.h"
#include "digest/blake3.h"

namespace castore::backends {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class Inspection : public testing::Test {
 protected:
  Inspection() {
    std::string pattern = testing::TempDir() + "/inspection.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    store_ = folder_ + "/store";
  }
  ~Inspection() override { fs::remove_all(folder_); }

  // Enough for tables of two levels, with something in each.
  void fill() {
    auto services = (*LocalStore::open(store_, OpenMode::kCreate))->services();
    Context ctx;
    for (int i = 0; i < 300; ++i) {
      std::string text = fmt::format("text {}", i);
      DirectoryBuilder builder;
      ASSERT_TRUE(builder.add("file", FileNode{blake3(text), text.size(), false}));
      ASSERT_TRUE(services.blobs->put(ctx, blake3(text), Bytes::copy_of(text)));
      ASSERT_TRUE(services.directories->put(ctx, *builder.build()));
      store::SourceStamp stamp{1, 2, static_cast<uint64_t>(i), 3, 4, 5};
      ASSERT_TRUE(services.import_cache->remember_source(ctx, stamp, blake3(text)));
      ASSERT_TRUE(services.import_cache->remember_nar(
          ctx, FileNode{blake3(text), text.size(), false}, {1, sha256(bytes_of(text))}));
    }
    ASSERT_TRUE(services.sync(ctx));
    nix::PathInfo info{.store_path = *nix::store_path_of_nar(sha256(bytes_of("nar")), "name"),
                       .node = FileNode{blake3("text 1"), 6, false},
                       .references = {},
                       .nar_size = 120,
                       .nar_sha256 = {},
                       .signatures = {},
                       .deriver = std::nullopt,
                       .content_address = std::nullopt};
    // Longer than a page holds.
    info.signatures.assign(60, nix::Signature{.name = "a key", .data = {}});
    ASSERT_TRUE(services.path_infos->put(ctx, info));
  }

  // "object: detail" of each fault.
  StoreCondition inspect() {
    faults_.clear();
    auto condition = inspect_local_store(store_, [&](const StoreFault& fault) {
      faults_.push_back(fault.object + ": " + fault.detail);
    });
    EXPECT_TRUE(condition) << condition.error().message();
    EXPECT_EQ(condition == StoreCondition::kSound, faults_.empty());
    return condition.value_or(StoreCondition::kUnreadable);
  }

  void change(const std::function<void(local::Database::Writer&)>& act) {
    auto database = local::Database::open(store_ + "/database", local::Database::Access::kWrite);
    ASSERT_TRUE(database);
    auto writer = (*database)->write();
    act(*writer);
    ASSERT_TRUE(writer->commit());
  }

  std::string folder_;
  std::string store_;
  std::vector<std::string> faults_;
};

TEST_F(Inspection, FindsNothingInASoundStore) {
  ASSERT_TRUE(LocalStore::open(store_, OpenMode::kCreate));
  EXPECT_EQ(inspect(), StoreCondition::kSound) << testing::PrintToString(faults_);
  fill();
  EXPECT_EQ(inspect(), StoreCondition::kSound) << testing::PrintToString(faults_);
}

TEST_F(Inspection, NamesADamagedPackRecord) {
  fill();
  change([](auto& writer) {
    ASSERT_TRUE(writer.upsert(local::Table::kPacks, bytes_of(local::pack_key(1)), bytes_of("x")));
  });
  EXPECT_EQ(inspect(), StoreCondition::kDamaged);
  EXPECT_THAT(faults_, Contains("pack 1: its record is damaged"));
}

TEST_F(Inspection, NamesAPackThatIsShorterThanItsRecordSays) {
  fill();
  fs::resize_file(local::pack_path(store_, 1), 10);
  EXPECT_EQ(inspect(), StoreCondition::kDamaged);
  EXPECT_THAT(faults_, Contains(HasSubstr("pack 1: ")));
}

TEST_F(Inspection, NamesAnObjectWhoseRecordIsDamagedOrLeadsNowhere) {
  fill();
  Digest one = blake3("text 1");
  Digest two = blake3("text 2");
  Digest three = blake3("text 3");
  change([&](auto& writer) {
    using local::ObjectRecord;
    auto set = [&](const Digest& digest, const std::string& record) {
      ASSERT_TRUE(writer.upsert(local::Table::kBlobs, digest.bytes(), bytes_of(record)));
    };
    set(one, "no record");
    set(two, encode(ObjectRecord{6, 1, 1 << 20}));
    set(three, encode(ObjectRecord{6, 77, 0}));
  });
  EXPECT_EQ(inspect(), StoreCondition::kDamaged);
  for (const Digest& digest : {one, two, three})
    EXPECT_THAT(faults_, Contains(HasSubstr(fmt::format("blob {}: ", digest))));
}

TEST_F(Inspection, FindsAKeyThatIsNoName) {
  fill();
  for (local::Table table :
       {local::Table::kBlobs, local::Table::kDirectories, local::Table::kPathInfos}) {
    change([&](auto& writer) {
      ASSERT_TRUE(writer.upsert(table, bytes_of("short"), bytes_of("value")));
    });
    EXPECT_EQ(inspect(), StoreCondition::kDamaged);
    EXPECT_THAT(faults_, Contains(HasSubstr(store_ + "/database")));
    change([&](auto& writer) { ASSERT_TRUE(writer.erase(table, bytes_of("short"))); });
  }
  EXPECT_EQ(inspect(), StoreCondition::kSound);
}

// After every flip of one bit in what LMDB trusts, either the inspection finds it, or LMDB reads
// the same as before, every record of it. That it crashes is not among the answers.
TEST_F(Inspection, NoFlippedBitInThePagesIsBothUnseenAndHarmful) {
  fill();
  const std::string path = store_ + "/database";
  const std::string whole = *read_whole_file(path, 1 << 24);
  auto all_records = [&]() -> std::string {
    auto database = local::Database::open(path, local::Database::Access::kRead);
    if (!database) return database.error().message();
    auto reader = (*database)->read();
    std::string records;
    for (size_t table = 0; table < local::kTableCount; ++table) {
      auto pairs = reader->scan(static_cast<local::Table>(table), std::nullopt, SIZE_MAX);
      if (!pairs) return pairs.error().message();
      for (const auto& [key, value] : *pairs) {
        auto found = reader->get(static_cast<local::Table>(table), key);
        if (!found || !*found || text_of(**found) != text_of(value)) return "a key is not found";
        records.append(text_of(key)).append(text_of(value));
      }
    }
    return records;
  };
  const std::string before = all_records();
  ASSERT_GT(before.size(), 10'000u);

#ifdef CASTORE_SANITIZED
  constexpr int kFlipsEachRange = 4;  // each takes fifty times as long
#else
  constexpr int kFlipsEachRange = 40;
#endif
  size_t seen = 0;
  size_t harmless = 0;
  unsigned seed = 1;
  for (size_t page = 0; page < whole.size() / 4096; ++page) {
    // Headers and offsets of nodes, and some of the nodes themselves.
    for (int i = 0; i < 3 * kFlipsEachRange; ++i) {
      seed = seed * 1664525 + 1013904223;
      const size_t range = i < kFlipsEachRange ? 24 : i < 2 * kFlipsEachRange ? 160 : 4096;
      const size_t at = page * 4096 + (seed >> 8) % range;
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (seed >> 4) % 8));
      std::ofstream(path, std::ios::binary) << damaged;
      std::vector<std::string> faults;
      auto condition = inspect_local_store(
          store_, [&](const StoreFault& fault) { faults.push_back(fault.object); });
      ASSERT_TRUE(condition) << condition.error().message();
      if (condition == StoreCondition::kUnreadable) {
        ++seen;
        continue;
      }
      const std::string after = all_records();
      if (after == before) {
        ++harmless;
      } else {
        // The bit is in a key or a value. LMDB came through, and object names tell.
        EXPECT_EQ(after.size(), before.size()) << "page " << page << " byte " << at % 4096;
      }
    }
  }
  EXPECT_GT(seen, 10u);
  EXPECT_GT(harmless, 10u);
}

TEST_F(Inspection, FindsADatabaseThatWasCutShort) {
  fill();
  const auto size = fs::file_size(store_ + "/database");
  for (uint64_t left : {uint64_t{100}, uint64_t{4096}, uint64_t{8192}, size / 8192 * 4096}) {
    fs::copy_file(store_ + "/database", folder_ + "/whole", fs::copy_options::overwrite_existing);
    fs::resize_file(store_ + "/database", left);
    EXPECT_EQ(inspect(), StoreCondition::kUnreadable) << left;
    fs::rename(folder_ + "/whole", store_ + "/database");
  }
}

// Damage of each kind of object, then `repair`, then storing it again.
TEST_F(Inspection, WhatWasDamagedCanBeStoredAnewAfterARepair) {
  fill();
  Context ctx;
  const std::string small = "text 1";
  const std::string large(kPackedBlobBytesMax + 1, 'x');
  DirectoryBuilder builder;
  ASSERT_TRUE(builder.add("file", FileNode{blake3(small), small.size(), false}));
  const Directory directory = *builder.build();
  {
    auto services = (*LocalStore::open(store_, OpenMode::kExisting))->services();
    ASSERT_TRUE(services.blobs->put(ctx, blake3(large), Bytes::copy_of(large)));
  }
  const std::string hex = blake3(large).to_hex();
  const std::string file = store_ + "/blobs/" + hex.substr(0, 2) + "/" + hex;
  fs::permissions(file, fs::perms(0644));
  std::fstream(file, std::ios::in | std::ios::out).put('y');
  const auto flip_in_pack = [&](uint64_t number, std::string_view content) {
    std::string pack = *read_whole_file(local::pack_path(store_, number), 1 << 24);
    ASSERT_NE(pack.find(content), std::string::npos);
    pack[pack.find(content) + 3] ^= 1;
    std::ofstream(local::pack_path(store_, number), std::ios::binary) << pack;
  };
  flip_in_pack(1, "text 1");
  flip_in_pack(2, directory.encoded().text());
  change([](auto& writer) {
    ASSERT_TRUE(writer.upsert(local::Table::kPacks, bytes_of(local::pack_key(1)), bytes_of("x")));
    ASSERT_TRUE(writer.upsert(local::Table::kBlobs, bytes_of("short"), bytes_of("value")));
  });
  EXPECT_EQ(inspect(), StoreCondition::kDamaged);

  {
    auto services = (*LocalStore::open(store_, OpenMode::kExisting))->services();
    EXPECT_FALSE(store::read_blob(ctx, *services.blobs, blake3(small), 1 << 20));
    const store::ObjectName damaged[] = {store::BlobName{blake3(small)},
                                         store::BlobName{blake3(large)},
                                         store::DirectoryName{directory.digest()}};
    auto repaired = services.upkeep->repair(ctx, damaged);
    ASSERT_TRUE(repaired) << repaired.error().message();
    EXPECT_EQ(*repaired, 3u);
    EXPECT_FALSE(*services.blobs->has(ctx, blake3(small)));
    EXPECT_FALSE(*services.blobs->has(ctx, blake3(large)));
    for (const std::string& text : {small, large})
      EXPECT_TRUE(services.blobs->put(ctx, blake3(text), Bytes::copy_of(text))->is_new);
    EXPECT_TRUE(services.directories->put(ctx, directory));
    ASSERT_TRUE(services.sync(ctx));
    EXPECT_EQ(store::read_blob(ctx, *services.blobs, blake3(small), 1 << 20).value()->text(),
              small);
    EXPECT_EQ(store::read_blob(ctx, *services.blobs, blake3(large), 1 << 20).value()->text(),
              large);
    EXPECT_TRUE(services.directories->get(ctx, directory.digest()));
  }
  EXPECT_EQ(inspect(), StoreCondition::kSound) << testing::PrintToString(faults_);
}

// What is told to a repair may be old: the object was stored again in the meantime.
TEST_F(Inspection, ARepairForgetsNothingThatIsWhole) {
  fill();
  Context ctx;
  const std::string large(kPackedBlobBytesMax + 1, 'x');
  auto services = (*LocalStore::open(store_, OpenMode::kExisting))->services();
  ASSERT_TRUE(services.blobs->put(ctx, blake3(large), Bytes::copy_of(large)));
  ASSERT_TRUE(services.sync(ctx));
  const store::ObjectName whole[] = {store::BlobName{blake3("text 1")},
                                     store::BlobName{blake3(large)}};
  auto repaired = services.upkeep->repair(ctx, whole);
  ASSERT_TRUE(repaired) << repaired.error().message();
  EXPECT_EQ(*repaired, 0u);
  for (const std::string& text : {std::string("text 1"), large})
    EXPECT_EQ(store::read_blob(ctx, *services.blobs, blake3(text), 1 << 20).value()->text(), text);
}

// An importer that was told that the store has a blob must not find it gone when it names it.
TEST_F(Inspection, ARepairWaitsForThoseWhoStore) {
  fill();
  auto lock = local::open_store_lock(store_);
  ASSERT_TRUE(lock);
  {
    auto storing = LocalStore::open(store_, OpenMode::kCreate);
    ASSERT_TRUE(storing);
    EXPECT_EQ(::flock(lock->get(), LOCK_EX | LOCK_NB), -1);
    EXPECT_EQ(errno, EWOULDBLOCK);
  }
  EXPECT_EQ(::flock(lock->get(), LOCK_EX | LOCK_NB), 0);
  auto reading = LocalStore::open(store_, OpenMode::kExisting);
  EXPECT_TRUE(reading) << "who only reads is not in the way";
}

}  // namespace
}  // namespace castore::backends
