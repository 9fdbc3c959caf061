// SPDX-License-Identifier: MIT OR Apache-2.0
#include "backends/local/write_queue.h"

#include <pthread.h>

#include <algorithm>

#include "backends/local/records.h"
#include "base/log.h"

namespace castore::backends::local {
namespace {

// What an object costs in memory besides its bytes, roughly.
constexpr uint64_t kObjectOverheadBytes = 192;

}  // namespace

size_t WriteQueue::Batch::object_count() const {
  return blobs.items().size() + files.items().size() + directories.items().size() + records.size();
}

void WriteQueue::Batch::append(const Batch& later) {
  for (const auto& [digest, blob] : later.blobs.items()) blobs.add(digest, blob);
  for (const auto& [digest, file] : later.files.items()) files.add(digest, file);
  for (const auto& [digest, encoded] : later.directories.items()) directories.add(digest, encoded);
  records.insert(records.end(), later.records.begin(), later.records.end());
  unpacked_bytes += later.unpacked_bytes;
  packed_bytes += later.packed_bytes;
  other_bytes += later.other_bytes;
}

WriteQueue::WriteQueue(Database& database, const BlobFiles& files, PackWriter packs,
                       const Tuning& tuning)
    : database_(database),
      files_(files),
      packs_(std::move(packs)),
      tuning_(tuning),
      thread_([this] { run(); }) {}

WriteQueue::~WriteQueue() {
  state_.lock()->closed = true;
  work_.notify_all();
  thread_.join();
  auto state = state_.lock();
  if (state->failure && !state->told && (state->broken || state->gathering->object_count() > 0))
    spdlog::error("what was stored last is not in the store: {}", state->failure->message());
}

bool WriteQueue::is_full(const Batch& batch) const {
  return batch.other_bytes >= tuning_.batch_memory_bytes ||
         batch.packed_bytes >= tuning_.batch_packed_bytes ||
         batch.files.items().size() >= tuning_.batch_files;
}

bool WriteQueue::has_room(const State& state) const {
  return !state.broken && !is_full(*state.gathering) &&
         state.gathering->unpacked_bytes < 2 * tuning_.pack_step_bytes;
}

Result<void> WriteQueue::wait_for_room(Handle& state) {
  state.wait(progress_, [&] { return has_room(*state) || state->failure; });
  if (!has_room(*state)) return tell(*state);
  return {};
}

std::unexpected<Error> WriteQueue::tell(State& state) {
  state.told = true;
  return std::unexpected(*state.failure);
}

void WriteQueue::count(Batch& batch, uint64_t unpacked_bytes, uint64_t other_bytes) {
  batch.unpacked_bytes += unpacked_bytes;
  batch.other_bytes += other_bytes + kObjectOverheadBytes;
  if (is_full(batch) || batch.unpacked_bytes >= tuning_.pack_step_bytes) work_.notify_one();
}

template <typename Object>
Result<bool> WriteQueue::add(Objects<Object> Batch::* list, const Digest& digest, Object object,
                             uint64_t unpacked_bytes, uint64_t other_bytes) {
  auto state = state_.lock();
  CASTORE_TRY(wait_for_room(state));
  if (state->writing && (*state->writing.*list).find(digest)) return false;
  Batch& batch = *state->gathering;
  if (!(batch.*list).add(digest, std::move(object))) return false;
  count(batch, unpacked_bytes, other_bytes);
  return true;
}

template <typename Object>
std::optional<Object> WriteQueue::find(Objects<Object> Batch::* list, const Digest& digest) {
  auto state = state_.lock();
  for (const Batch* batch : {state->gathering.get(), state->writing.get()})
    if (batch)
      if (const Object* object = (batch->*list).find(digest)) return *object;
  return std::nullopt;
}

Result<bool> WriteQueue::add_blob(const Digest& digest, Bytes bytes) {
  uint64_t size = bytes.size();
  return add(&Batch::blobs, digest, PendingObject{std::move(bytes), std::nullopt}, size, 0);
}

Result<bool> WriteQueue::add_file(const Digest& digest, FinishedFile file) {
  return add(&Batch::files, digest, std::make_shared<const FinishedFile>(std::move(file)), 0, 0);
}

Result<bool> WriteQueue::add_directory(const Digest& digest, Bytes encoded) {
  uint64_t size = encoded.size();
  return add(&Batch::directories, digest, PendingObject{std::move(encoded), std::nullopt}, size, 0);
}

Result<void> WriteQueue::add_record(Table table, std::string key, std::string value) {
  auto state = state_.lock();
  CASTORE_TRY(wait_for_room(state));
  uint64_t size = key.size() + value.size();
  state->gathering->records.push_back({table, std::move(key), std::move(value)});
  count(*state->gathering, 0, size);
  return {};
}

bool WriteQueue::has_blob(const Digest& digest) {
  return find_blob(digest).has_value() || find_file(digest).has_value();
}

bool WriteQueue::has_directory(const Digest& digest) {
  return find_directory(digest).has_value();
}

std::optional<PendingObject> WriteQueue::find_blob(const Digest& digest) {
  return find(&Batch::blobs, digest);
}

std::optional<WriteQueue::File> WriteQueue::find_file(const Digest& digest) {
  return find(&Batch::files, digest);
}

std::optional<PendingObject> WriteQueue::find_directory(const Digest& digest) {
  return find(&Batch::directories, digest);
}

Result<void> WriteQueue::sync() {
  auto state = state_.lock();
  // What is gathering now goes out with the next batch that begins, unless there is nothing.
  uint64_t wanted = state->batches_begun + (state->gathering->object_count() > 0 ? 1 : 0);
  state->sync_wanted = true;
  work_.notify_one();
  state.wait(progress_, [&] { return state->batches_done >= wanted; });
  if (state->failure) return tell(*state);
  return {};
}

bool WriteQueue::has_work(const State& state) const {
  if (state.closed || state.sync_wanted) return true;
  return !state.failure &&
         (is_full(*state.gathering) || state.gathering->unpacked_bytes >= tuning_.pack_step_bytes);
}

void WriteQueue::run() {
  ::pthread_setname_np(::pthread_self(), "store-writer");
  auto state = state_.lock();
  for (bool last = false; !last;) {
    state.wait(work_, [&] { return has_work(*state); });
    last = state->closed;
    if (!last && !state->sync_wanted && !is_full(*state->gathering)) {
      Batch& batch = *state->gathering;
      state.unlock();
      auto packed = pack(batch);
      state.relock();
      if (!packed) state->failure = std::move(packed).error();
      progress_.notify_all();
      continue;
    }
    state->sync_wanted = false;
    if (state->gathering->object_count() == 0) continue;

    state->writing = std::exchange(state->gathering, std::make_unique<Batch>());
    state->failure.reset();
    state->batches_begun++;
    progress_.notify_all();
    Batch& batch = *state->writing;
    state.unlock();
    bool is_unknown = false;
    auto written = write(batch, is_unknown);
    if (is_unknown) packs_.abandon();
    state.relock();
    if (!written) {
      state->failure = std::move(written).error();
      state->broken = is_unknown;
      if (state->broken) {
        state->gathering = std::make_unique<Batch>();
      } else {
        batch.append(*state->gathering);
        state->gathering = std::move(state->writing);
      }
    } else {
      state->told = false;
    }
    state->writing.reset();
    state->batches_done++;
    progress_.notify_all();
  }
}

// Moves the bytes of waiting objects to a pack. Others may look objects up, and add more,
// meanwhile.
Result<void> WriteQueue::pack(Batch& batch) {
  CASTORE_TRY(pack(batch, PackOf::kBlobs, batch.blobs));
  return pack(batch, PackOf::kDirectories, batch.directories);
}

Result<void> WriteQueue::pack(Batch& batch, PackOf kind, Objects<PendingObject>& objects) {
  std::vector<Bytes> contents;
  {
    auto state = state_.lock();
    const auto& items = objects.items();
    contents.reserve(items.size() - objects.packed_count);
    for (size_t i = objects.packed_count; i < items.size(); ++i)
      contents.push_back(items[i].second.bytes);
  }
  if (contents.empty()) return {};
  std::vector<ObjectRecord> places(contents.size());
  CASTORE_TRY(packs_.append(kind, contents, places));
  auto state = state_.lock();
  for (const ObjectRecord& place : places) {
    PendingObject& object = objects.at(objects.packed_count++);
    batch.unpacked_bytes -= object.bytes.size();
    batch.packed_bytes += object.bytes.size();
    object = {Bytes(), place};
  }
  return {};
}

// `is_unknown` tells of a failure whether it leaves open what is on disk.
Result<void> WriteQueue::write(Batch& batch, bool& is_unknown) {
  CASTORE_TRY(pack(batch));
  std::vector<BlobFiles::Finished> finished;
  for (const auto& [digest, file] : batch.files.items()) finished.push_back({&file->file, digest});
  is_unknown = true;
  CASTORE_TRY(packs_.flush());
  CASTORE_TRY(files_.flush(finished));
  is_unknown = false;
  CASTORE_TRY(files_.name(finished));
  is_unknown = true;
  CASTORE_TRY(files_.flush_names(finished));
  is_unknown = false;
  return index(batch, is_unknown);
}

Result<void> WriteQueue::commit(Database::Writer& writer, bool& is_unknown) {
  auto committed = tuning_.disk->commit(writer);
  // Without room nothing was changed: the transaction's pages are written again the next time.
  is_unknown = !committed && committed.error().kind() != ErrorKind::kExhausted;
  return committed;
}

// Tells the database about a batch whose content is on disk. How far packs are in use comes first
// and records last: whatever the database knows after a crash is there.
//
// What the database has of an object already is replaced: `has` did not accept it, or another
// process stored the same meanwhile, and one is as good as the other.
Result<void> WriteQueue::index(Batch& batch, bool& is_unknown) {
  using Insert = std::pair<Digest, ObjectRecord>;
  auto insert_all = [&](Table table, std::vector<Insert> inserts) -> Result<void> {
    // In the order of the keys each page is visited once.
    std::ranges::sort(inserts, {}, &Insert::first);
    for (size_t i = 0; i < inserts.size();) {
      Database::Writer writer = CASTORE_TRY(database_.write());
      CASTORE_TRY(packs_.record_ends(writer));
      for (size_t end = std::min(inserts.size(), i + tuning_.transaction_inserts); i < end; ++i)
        CASTORE_TRY(
            writer.upsert(table, inserts[i].first.bytes(), bytes_of(encode(inserts[i].second))));
      CASTORE_TRY(commit(writer, is_unknown));
      packs_.ends_recorded();
    }
    return {};
  };

  std::vector<Insert> inserts;
  for (const auto& [digest, blob] : batch.blobs.items()) inserts.emplace_back(digest, *blob.place);
  for (const auto& [digest, file] : batch.files.items())
    inserts.emplace_back(digest, ObjectRecord{file->size, 0, 0});
  CASTORE_TRY(insert_all(Table::kBlobs, std::exchange(inserts, {})));
  for (const auto& [digest, directory] : batch.directories.items())
    inserts.emplace_back(digest, *directory.place);
  CASTORE_TRY(insert_all(Table::kDirectories, std::move(inserts)));

  std::ranges::stable_sort(batch.records, {}, &Record::key);
  for (size_t i = 0; i < batch.records.size();) {
    Database::Writer writer = CASTORE_TRY(database_.write());
    for (size_t end = std::min(batch.records.size(), i + tuning_.transaction_inserts); i < end;
         ++i) {
      const Record& record = batch.records[i];
      CASTORE_TRY(writer.upsert(record.table, bytes_of(record.key), bytes_of(record.value)));
    }
    CASTORE_TRY(commit(writer, is_unknown));
  }
  return {};
}

}  // namespace castore::backends::local
