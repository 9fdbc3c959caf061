// SPDX-License-Identifier: MIT OR Apache-2.0
// Drives a device of castore virtiofs as a guest would that has nothing else to do, for
// bench/guest_queues.py; never installed. No machine and no kernel of a guest: what is measured is
// the device, in this process, and the little that the driver's side of a queue takes.
//
//   guest_load make STORE NAMES MEBIBYTES            makes a store; prints the digest of what to
//   show guest_load getattr|lookup|read STORE DIGEST QUEUES SECONDS
//                                                    prints the requests answered, and the seconds
//
// There is a driver's thread for each queue, which keeps the queue as full as the double can.
#include <fmt/format.h>
#include <sys/socket.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backends/local/local_store.h"
#include "base/check.h"
#include "base/context.h"
#include "digest/blake3.h"
#include "fs/content_cache.h"
#include "fs/filesystem.h"
#include "fs/root.h"
#include "fuse/abi.h"
#include "fuse/testing/fake_kernel.h"
#include "model/directory.h"
#include "virtiofs/server.h"
#include "virtiofs/testing/fake_guest.h"

namespace {

using namespace castore;
using Clock = std::chrono::steady_clock;
using fuse::abi::Opcode;
using fuse::testing::FakeKernel;
using virtiofs::testing::FakeGuest;

constexpr size_t kReadBytes = size_t{1} << 20;
constexpr std::string_view kLarge = "large";
constexpr std::string_view kNames = "names";

std::string name(uint64_t number) {
  return fmt::format("file-{:08}", number);
}

Result<Directory> put_directory(const store::Services& services, DirectoryBuilder& builder) {
  auto directory = builder.build();
  if (!directory) return fail(ErrorKind::kInternal, "the entries make no directory");
  CASTORE_TRY(services.directories->put(Context(), *directory));
  return std::move(*directory);
}

// A large file of random bytes, and a folder of names whose contents nobody reads.
Result<Digest> make_store(const std::string& folder, uint64_t names, uint64_t mebibytes) {
  auto store = CASTORE_TRY(backends::LocalStore::open(folder, backends::OpenMode::kCreate));
  const store::Services services = store->services();
  auto writer = CASTORE_TRY(services.blobs->create(Context()));
  std::mt19937_64 random(1);
  std::vector<uint64_t> piece(kReadBytes / sizeof(uint64_t));
  for (uint64_t i = 0; i < mebibytes; ++i) {
    for (uint64_t& word : piece) word = random();
    CASTORE_TRY(writer->append(std::as_bytes(std::span(piece))));
  }
  const store::StoredBlob large = CASTORE_TRY(writer->commit());
  DirectoryBuilder many;
  for (uint64_t i = 0; i < names; ++i)
    CASTORE_TRY(many.add(name(i), FileNode{blake3(name(i)), 1, false}));
  const Directory folder_of_names = CASTORE_TRY(put_directory(services, many));
  DirectoryBuilder root;
  CASTORE_TRY(root.add(kLarge, FileNode{large.digest, large.size, false}));
  CASTORE_TRY(
      root.add(kNames, DirectoryNode{folder_of_names.digest(), folder_of_names.entry_count()}));
  const Directory top = CASTORE_TRY(put_directory(services, root));
  CASTORE_TRY(services.directories->sync(Context()));
  return top.digest();
}

// What a driver sends again and again.
struct Load {
  Opcode opcode;
  uint64_t node;
  uint64_t count;  // of different requests, in turns
  size_t answer_bytes;

  std::vector<std::byte> argument(uint64_t number) const {
    if (opcode == Opcode::kLookup) {
      const std::string text = name(number % count);
      const ByteView bytes = std::as_bytes(std::span(text.c_str(), text.size() + 1));
      return {bytes.begin(), bytes.end()};
    }
    if (opcode == Opcode::kRead) {
      fuse::abi::ReadIn in{};
      in.offset = number % count * kReadBytes;
      in.size = kReadBytes;
      return virtiofs::payload_of(in);
    }
    return virtiofs::payload_of(fuse::abi::GetattrIn{});
  }
};

Result<Load> load_of(std::string_view word, FakeKernel& kernel) {
  auto file = kernel.lookup(fuse::abi::kRootNode, kLarge);
  auto folder = kernel.lookup(fuse::abi::kRootNode, kNames);
  if (!file || !folder) return fail(ErrorKind::kInvalidArgument, "the tree is another's");
  if (word == "getattr") return Load{Opcode::kGetattr, file->nodeid, 1, sizeof(fuse::abi::AttrOut)};
  if (word == "lookup")
    return Load{Opcode::kLookup, folder->nodeid, folder->attr.size, sizeof(fuse::abi::EntryOut)};
  if (word == "read")
    return Load{Opcode::kRead, file->nodeid, file->attr.size / kReadBytes, kReadBytes};
  return fail(ErrorKind::kInvalidArgument, "there is no load {}", word);
}

// Until `stop`; gives the requests answered. Ends the program where one is not answered well.
uint64_t drive(FakeGuest& guest, uint16_t queue, const Load& load, const std::atomic<bool>& stop) {
  FakeKernel kernel(guest.exchange_through(queue), uint64_t{queue} << 48);
  const size_t room = sizeof(fuse::abi::OutHeader) + load.answer_bytes;
  std::deque<size_t> waiting;
  auto take_answer = [&] {
    CASTORE_CHECK(guest.wait_unread(queue, waiting.front()) == room, "the answer is whole");
    waiting.pop_front();
  };
  uint64_t sent = 0;
  // Queues begin at different places, so that they do not read the same.
  for (uint64_t at = uint64_t{queue} * 7919; !stop.load(std::memory_order_relaxed); ++at, ++sent) {
    if (waiting.size() == FakeGuest::kSlots) take_answer();
    waiting.push_back(
        guest.submit(queue, kernel.frame(load.opcode, load.node, load.argument(at)), room));
  }
  while (!waiting.empty()) take_answer();
  return sent;
}

struct Measured {
  uint64_t requests = 0;
  double seconds = 0;
};

Measured measure(FakeGuest& guest, uint16_t queues, const Load& load, double seconds) {
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> requests = 0;
  std::vector<std::thread> drivers;
  const auto begun = Clock::now();
  for (uint16_t queue = 1; queue <= queues; ++queue)
    drivers.emplace_back([&, queue] { requests += drive(guest, queue, load, stop); });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (std::thread& driver : drivers) driver.join();
  return {requests, std::chrono::duration<double>(Clock::now() - begun).count()};
}

Result<Measured> run(std::string_view word, const std::string& folder, const Digest& digest,
                     uint16_t queues, double seconds) {
  auto store = CASTORE_TRY(backends::LocalStore::open(folder, backends::OpenMode::kExisting));
  const store::Services services = store->services();
  auto directory = CASTORE_TRY(services.directories->get(Context(), digest));
  if (!directory) return fail(ErrorKind::kNotFound, "{} is not in the store", digest);
  auto cache = std::make_shared<fs::ContentCache>(
      services.blobs, services.directories, fs::ContentCache::Options{.several_kernels = true});
  auto maker = [&] {
    return std::make_shared<fs::Filesystem>(cache, fs::directory_root(directory),
                                            fs::FilesystemOptions());
  };
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail_errno(errno, "making sockets");
  UniqueFd device(ends[0]);
  UniqueFd front_end(ends[1]);
  virtiofs::DeviceOptions options;
  options.request_queues = queues;
  auto connection =
      CASTORE_TRY(virtiofs::GuestConnection::start(std::move(device), maker, options));
  // Places for a read of a mebibyte, as the guide to virtual machines has it.
  FakeGuest guest(std::move(front_end), {.request_queues = queues, .queue_size = 1024});
  FakeKernel kernel(guest.exchange_through(1));
  if (!guest.set_up() || !kernel.init()) return fail(ErrorKind::kInternal, "the device refuses");
  const Load load = CASTORE_TRY(load_of(word, kernel));
  // Everything once without a clock: nodes are known and pages cached, here and in the kernel.
  for (uint64_t i = 0; i < load.count; ++i)
    guest.wait_unread(1, guest.submit(1, kernel.frame(load.opcode, load.node, load.argument(i)),
                                      sizeof(fuse::abi::OutHeader) + load.answer_bytes));
  return measure(guest, queues, load, seconds);
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return value;
}

// What is printed; nothing where the arguments make no sense.
Result<std::optional<std::string>> output_for(std::span<const char* const> words) {
  if (words.size() == 5 && std::string_view(words[1]) == "make") {
    auto names = number<uint64_t>(words[3]);
    auto mebibytes = number<uint64_t>(words[4]);
    if (!names || !mebibytes) return std::nullopt;
    return CASTORE_TRY(make_store(words[2], *names, *mebibytes)).to_text();
  }
  if (words.size() != 6) return std::nullopt;
  auto digest = Digest::parse(words[3]);
  auto queues = number<uint16_t>(words[4]);
  auto seconds = number<double>(words[5]);
  if (!digest || !queues || !seconds) return std::nullopt;
  const Measured measured = CASTORE_TRY(run(words[1], words[2], *digest, *queues, *seconds));
  return fmt::format("{} {}", measured.requests, measured.seconds);
}

}  // namespace

int main(int argc, char** argv) {
  auto output = output_for({argv, static_cast<size_t>(argc)});
  if (!output) {
    fmt::print(stderr, "guest_load: {}\n", output.error().message());
    return 1;
  }
  if (!*output) {
    fmt::print(stderr,
               "usage: guest_load make STORE NAMES MEBIBYTES\n"
               "       guest_load getattr|lookup|read STORE DIGEST QUEUES SECONDS\n");
    return 2;
  }
  fmt::print("{}\n", **output);
  return 0;
}
