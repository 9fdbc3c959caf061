// SPDX-License-Identifier: MIT OR Apache-2.0
#include "virtiofs/ring_server.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "virtiofs/testing/fake_ring.h"

namespace castore::virtiofs {
namespace {

using std::chrono::milliseconds;

// Has each request answered later.
class Keeper final : public RequestServer {
 public:
  void serve(ByteView /*request*/, fuse::ReplySink& sink, MutableByteView /*scratch*/) override {
    kept.push_back(sink.keep());
  }
  void interrupt(uint64_t /*unique*/) override {}
  void queue_failed(Error /*error*/) override {}

  std::vector<std::unique_ptr<fuse::ReplySink>> kept;
};

class ServedRing : public ::testing::Test {
 protected:
  static constexpr uint16_t kSize = 4;
  static constexpr RegionPlace kPlace{
      .guest_address = 0x1000, .bytes = 0x2000, .user_address = 0x1000, .file_offset = 0};

  void SetUp() override {
    UniqueFd fd(::memfd_create("guest", MFD_CLOEXEC));
    ASSERT_TRUE(fd);
    ASSERT_EQ(::ftruncate(fd.get(), kPlace.bytes), 0);
    auto region = MemoryRegion::map(kPlace, fd.get());
    ASSERT_TRUE(region);
    driver_ = std::make_unique<testing::FakeRing>(MutableByteView((*region)->bytes(), kPlace.bytes),
                                                  kSize, false);
    auto memory = GuestMemory::of({*region});
    ASSERT_TRUE(memory);
    auto ring = SplitRing::make(
        {.size = kSize},
        {.descriptors = kPlace.user_address,
         .available = kPlace.user_address + testing::FakeRing::available_offset(kSize),
         .used = kPlace.user_address + testing::FakeRing::used_offset(kSize)},
        *memory);
    ASSERT_TRUE(ring);
    ring_->start(std::move(*ring));
  }

  std::unique_ptr<testing::FakeRing> driver_;  // in memory that the ring keeps
  std::shared_ptr<Keeper> keeper_ = std::make_shared<Keeper>();
  std::shared_ptr<LiveRing> ring_ = std::make_shared<LiveRing>();
  RingServer server_{keeper_, ring_, false};
  std::atomic<bool> stopping_ = false;
};

TEST_F(ServedRing, GivesBackWhatIsAnsweredLater) {
  driver_->set_descriptor(0, {kPlace.guest_address, 8, 0, 0});
  driver_->put(0);
  ASSERT_TRUE(server_.serve_available(stopping_));
  ASSERT_EQ(keeper_->kept.size(), 1u);
  EXPECT_FALSE(ring_->wait_until_answered(milliseconds(0)));
  EXPECT_FALSE(driver_->take_used());
  EXPECT_TRUE(keeper_->kept.front()->send({}));
  EXPECT_TRUE(ring_->wait_until_answered(milliseconds(0)));
  EXPECT_TRUE(driver_->take_used());
}

// A request that is taken and cannot be served was counted for ever: whoever stopped the queue at
// that moment waited for its answer until the grace was over.
TEST_F(ServedRing, WaitsForNothingOnceItIsBroken) {
  driver_->set_descriptor(0, {kPlace.guest_address, 8, 0, 0});
  driver_->set_descriptor(1, {0, 8, 0, 0});
  driver_->put(0);
  driver_->put(1);
  EXPECT_EQ(server_.serve_available(stopping_).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_TRUE(ring_->wait_until_answered(milliseconds(0)));
  ASSERT_EQ(keeper_->kept.size(), 1u);
  EXPECT_FALSE(keeper_->kept.front()->send({})) << "too late";
}

}  // namespace
}  // namespace castore::virtiofs
