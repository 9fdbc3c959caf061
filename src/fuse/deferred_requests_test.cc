// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuse/deferred_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <thread>
#include <vector>

#include "store/testing/gated_blob_service.h"

namespace castore::fuse {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using store::testing::Gate;

constexpr milliseconds kGrace = seconds(30);

// Collects what was answered: the errno, 0 for success.
class Mailbox {
 public:
  class Sink final : public ReplySink {
   public:
    explicit Sink(Mailbox& box) : box_(box) {}
    size_t bytes_max() const override { return 4096; }
    bool send(std::span<const ByteView> pieces) override {
      abi::OutHeader header;
      std::memcpy(&header, pieces[0].data(), sizeof header);
      box_.errors_.lock()->push_back(-header.error);
      box_.arrived_.notify_all();
      return true;
    }

   private:
    Mailbox& box_;
  };

  std::unique_ptr<ReplySink> sink() { return std::make_unique<Sink>(*this); }
  // The answers, once there are `count`.
  std::vector<int> wait_for(size_t count) {
    auto errors = errors_.lock();
    errors.wait(arrived_, [&] { return errors->size() >= count; });
    return *errors;
  }

 private:
  Guarded<std::vector<int>> errors_;
  std::condition_variable arrived_;
};

// Stands before a gate, as a call to a store that hangs does: no deadline and no stop ends it.
class GatedWork final : public DeferredRequests::Work {
 public:
  GatedWork(uint64_t unique, Gate& gate, std::promise<bool>* delivered = nullptr)
      : unique_(unique), gate_(gate), delivered_(delivered) {}
  void serve(const Context& ctx, ReplySink& sink) override {
    EXPECT_TRUE(gate_.pass(ctx).has_value());
    bool delivered = Answer(sink, unique_).empty();
    if (delivered_ != nullptr) delivered_->set_value(delivered);
  }
  std::string describe() const override { return "a test"; }

 private:
  uint64_t unique_;
  Gate& gate_;
  std::promise<bool>* delivered_;
};

TEST(DeferredRequests, AreAnsweredByAnotherThread) {
  RunningRequests running;
  Mailbox box;
  Gate gate;
  DeferredRequests deferred({.threads_max = 2, .timeout = hours(1)});
  for (uint64_t unique = 2; unique <= 20; unique += 2)
    deferred.submit(unique, std::make_unique<GatedWork>(unique, gate), box.sink(), running);
  EXPECT_EQ(box.wait_for(10), std::vector<int>(10, 0));
  EXPECT_LE(deferred.counts().threads, 2u);
  EXPECT_TRUE(deferred.close(kGrace));
}

TEST(DeferredRequests, OneThatIsInterruptedIsAnsweredAtOnceWhateverTheStoreDoes) {
  RunningRequests running;
  Mailbox box;
  Gate gate;
  std::promise<bool> delivered;
  DeferredRequests deferred({.threads_max = 1, .timeout = hours(1)});
  gate.close();
  deferred.submit(2, std::make_unique<GatedWork>(2, gate, &delivered), box.sink(), running);
  gate.wait_until_held(1);
  running.interrupt(2);
  EXPECT_EQ(box.wait_for(1), std::vector{EINTR});
  // What comes of it in the end is told that it was not delivered, so that it is taken back.
  gate.open();
  EXPECT_FALSE(delivered.get_future().get());
  EXPECT_TRUE(deferred.close(kGrace));
  EXPECT_EQ(box.wait_for(1).size(), 1u);
}

TEST(DeferredRequests, FailWhenTheirTimeIsOverWhateverTheStoreDoes) {
  RunningRequests running;
  Mailbox box;
  Gate gate;
  std::promise<bool> delivered;
  DeferredRequests deferred({.threads_max = 1, .timeout = milliseconds(1)});
  gate.close();
  deferred.submit(2, std::make_unique<GatedWork>(2, gate, &delivered), box.sink(), running);
  EXPECT_EQ(box.wait_for(1), std::vector{EIO});
  gate.open();
  if (deferred.counts().threads > 0 && !deferred.close(kGrace)) FAIL();
  EXPECT_EQ(box.wait_for(1).size(), 1u);
}

TEST(DeferredRequests, ThreadsThatAreStuckDoNotKeepOthersFromBeingServed) {
  RunningRequests running;
  Mailbox box;
  Gate gate;
  Gate open;
  DeferredRequests deferred({.threads_max = 1, .timeout = milliseconds(200)});
  gate.close();
  deferred.submit(2, std::make_unique<GatedWork>(2, gate), box.sink(), running);
  gate.wait_until_held(1);
  EXPECT_EQ(box.wait_for(1), std::vector{EIO});
  EXPECT_EQ(deferred.counts().stuck, 1u);
  deferred.submit(4, std::make_unique<GatedWork>(4, open), box.sink(), running);
  EXPECT_EQ(box.wait_for(2), (std::vector{EIO, 0}));
  gate.open();
  EXPECT_TRUE(deferred.close(kGrace));
  EXPECT_EQ(deferred.counts().stuck, 0u);
}

// As a store does that keeps to the time it is given.
class PunctualWork final : public DeferredRequests::Work {
 public:
  explicit PunctualWork(uint64_t unique) : unique_(unique) {}
  void serve(const Context& ctx, ReplySink& sink) override {
    while (ctx.check()) std::this_thread::sleep_until(ctx.deadline);
    Answer(sink, unique_).error(fs::Fault::kIo);
  }
  std::string describe() const override { return "a test"; }

 private:
  uint64_t unique_;
};

TEST(DeferredRequests, OfManyWhoseTimeIsOverEachIsAnswered) {
  constexpr size_t kCount = 400;
  RunningRequests running;
  Mailbox box;
  DeferredRequests deferred({.threads_max = 8, .timeout = milliseconds(100)});
  for (uint64_t i = 0; i < kCount; ++i)
    deferred.submit(2 * i + 2, std::make_unique<PunctualWork>(2 * i + 2), box.sink(), running);
  EXPECT_EQ(box.wait_for(kCount), std::vector<int>(kCount, EIO));
  EXPECT_TRUE(deferred.close(kGrace));
  EXPECT_EQ(box.wait_for(kCount).size(), kCount);
}

TEST(DeferredRequests, ThePlaceOfOneThatIsStuckIsForThoseWhoWaitAlready) {
  RunningRequests running;
  Mailbox box;
  Gate gate;
  Gate open;
  DeferredRequests deferred({.threads_max = 1, .timeout = seconds(2)});
  gate.close();
  deferred.submit(2, std::make_unique<GatedWork>(2, gate), box.sink(), running);
  gate.wait_until_held(1);
  std::this_thread::sleep_for(seconds(1));
  deferred.submit(4, std::make_unique<GatedWork>(4, open), box.sink(), running);
  EXPECT_EQ(deferred.counts().queued, 1u);
  EXPECT_THAT(box.wait_for(2), testing::UnorderedElementsAre(EIO, 0));
  gate.open();
  EXPECT_TRUE(deferred.close(kGrace));
}

TEST(DeferredRequests, NothingIsKeptOfThoseAnswered) {
  RunningRequests running;
  Mailbox box;
  Gate gate;
  DeferredRequests deferred({.threads_max = 4, .timeout = hours(24)});
  for (uint64_t unique = 2; unique <= 2000; unique += 2)
    deferred.submit(unique, std::make_unique<GatedWork>(unique, gate), box.sink(), running);
  box.wait_for(1000);
  EXPECT_TRUE(deferred.close(kGrace));
  EXPECT_EQ(deferred.counts().in_time, 0u);
}

TEST(DeferredRequests, ThoseWhoHangAreLeftBehindAtTheEnd) {
  RunningRequests running;
  Mailbox box;
  Gate gate;
  std::promise<bool> delivered;
  auto deferred =
      std::make_unique<DeferredRequests>(DeferredRequests::Options{.timeout = hours(1)});
  gate.close();
  deferred->submit(2, std::make_unique<GatedWork>(2, gate, &delivered), box.sink(), running);
  gate.wait_until_held(1);
  running.stop_all();
  EXPECT_EQ(box.wait_for(1), std::vector{EINTR});
  EXPECT_FALSE(deferred->close(milliseconds(1)));
  gate.open();
  EXPECT_FALSE(delivered.get_future().get());
  EXPECT_TRUE(deferred->close(kGrace));
}

}  // namespace
}  // namespace castore::fuse
