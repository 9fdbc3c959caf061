// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/single_flight.h"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace castore {
namespace {

// Says when a caller has found an equal key. That happens under the lock which the caller gives up
// only by waiting.
struct WatchedKey {
  int value;
  std::promise<void>* compared;
  std::once_flag* once;

  friend bool operator==(const WatchedKey& a, const WatchedKey& b) {
    std::call_once(*a.once, [&] { a.compared->set_value(); });
    return a.value == b.value;
  }
};

}  // namespace
}  // namespace castore

template <>
struct std::hash<castore::WatchedKey> {
  size_t operator()(const castore::WatchedKey& key) const { return std::hash<int>()(key.value); }
};

namespace castore {
namespace {

// A flight for key 1 that has begun when this is made, and does not land while it lives.
class HeldFlight {
 public:
  HeldFlight(SingleFlight<int, int>& flights, const Context& ctx)
      : flight_([&flights, ctx, this] {
          (void)flights.run(ctx, 1, [this]() -> Result<int> {
            started_.set_value();
            gate_.get_future().wait();
            return 1;
          });
        }) {
    started_.get_future().wait();
  }
  HeldFlight(const HeldFlight&) = delete;
  HeldFlight& operator=(const HeldFlight&) = delete;
  ~HeldFlight() {
    gate_.set_value();
    flight_.join();
  }

 private:
  std::promise<void> started_;
  std::promise<void> gate_;
  std::thread flight_;  // last, as it uses the others
};

TEST(SingleFlight, CallersAtTheSameTimeShareOneRun) {
  SingleFlight<WatchedKey, int> flights;
  std::promise<void> compared;
  std::once_flag once;
  WatchedKey key{1, &compared, &once};
  std::promise<void> started;
  std::thread first([&] {
    auto result = flights.run(Context(), key, [&]() -> Result<int> {
      started.set_value();
      compared.get_future().wait();  // until the second caller has found this flight
      return 1;
    });
    EXPECT_EQ(result.value(), 1);
  });
  started.get_future().wait();
  auto second = flights.run(Context(), key, []() -> Result<int> { return 2; });
  EXPECT_EQ(second.value(), 1);
  first.join();
}

TEST(SingleFlight, AWaiterLeavesAtItsDeadline) {
  SingleFlight<int, int> flights;
  HeldFlight held(flights, Context());
  Context hurried;
  hurried.deadline = std::chrono::steady_clock::now();
  auto late = flights.run(hurried, 1, []() -> Result<int> { return 2; });
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().kind(), ErrorKind::kUnavailable);
}

TEST(SingleFlight, DifferentKeysDoNotWaitForEachOther) {
  SingleFlight<int, int> flights;
  auto outer = flights.run(Context(), 1, [&]() -> Result<int> {
    return flights.run(Context(), 2, []() -> Result<int> { return 2; }).value() + 1;
  });
  EXPECT_EQ(outer.value(), 3);
}

TEST(SingleFlight, AFailureIsSharedAndNotRemembered) {
  SingleFlight<int, int> flights;
  auto failed =
      flights.run(Context(), 1, []() -> Result<int> { return fail(ErrorKind::kCorrupt, "bad"); });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message(), "bad");
  EXPECT_EQ(flights.run(Context(), 1, []() -> Result<int> { return 5; }).value(), 5);
}

TEST(SingleFlight, AWaiterTakesOverFromAWorkerThatWasStopped) {
  SingleFlight<int, int> flights;
  std::stop_source stop;
  Context stopped;
  stopped.stop = stop.get_token();
  std::promise<void> started;
  std::promise<void> gate;
  std::thread first([&] {
    auto result = flights.run(stopped, 1, [&]() -> Result<int> {
      started.set_value();
      gate.get_future().wait();
      CASTORE_TRY(stopped.check());
      return 1;
    });
    EXPECT_EQ(result.error().kind(), ErrorKind::kCancelled);
  });
  started.get_future().wait();
  std::promise<int> second_result;
  std::thread second([&] {
    second_result.set_value(flights.run(Context(), 1, []() -> Result<int> { return 2; }).value());
  });
  stop.request_stop();
  gate.set_value();
  EXPECT_EQ(second_result.get_future().get(), 2);
  first.join();
  second.join();
}

TEST(SingleFlight, AWaiterLeavesWhenItIsStopped) {
  SingleFlight<int, int> flights;
  HeldFlight held(flights, Context());
  std::stop_source stop;
  Context stopped;
  stopped.stop = stop.get_token();
  std::promise<ErrorKind> left;
  std::thread second([&] {
    left.set_value(flights.run(stopped, 1, []() -> Result<int> { return 2; }).error().kind());
  });
  stop.request_stop();
  EXPECT_EQ(left.get_future().get(), ErrorKind::kCancelled);
  second.join();
}

TEST(SingleFlight, ARunBeyondItsDeadlineIsNotJoined) {
  SingleFlight<int, int> flights;
  Context late;
  late.deadline = std::chrono::steady_clock::now();
  HeldFlight held(flights, late);
  EXPECT_EQ(flights.run(Context(), 1, []() -> Result<int> { return 2; }).value(), 2);
}

TEST(SingleFlight, WhoMayNotWaitJoinsNobodyWhoMay) {
  SingleFlight<int, int> flights;
  HeldFlight held(flights, Context());
  Context impatient;
  impatient.may_wait = false;
  EXPECT_EQ(flights.run(impatient, 1, []() -> Result<int> { return 2; }).value(), 2);
}

// A worker that may not wait, and what it is found to answer by one who comes meanwhile.
Result<int> joins_one_that_may_not_wait(const Context& ctx, const Result<int>& answer) {
  SingleFlight<WatchedKey, int> flights;
  std::promise<void> compared;
  std::once_flag once;
  WatchedKey key{1, &compared, &once};
  std::promise<void> started;
  std::thread first([&] {
    Context impatient;
    impatient.may_wait = false;
    (void)flights.run(impatient, key, [&]() -> Result<int> {
      started.set_value();
      compared.get_future().wait();  // until the second caller has found this flight
      return answer;
    });
  });
  started.get_future().wait();
  Result<int> second = flights.run(ctx, key, []() -> Result<int> { return 2; });
  first.join();
  return second;
}

TEST(SingleFlight, AWorkerThatMayNotWaitIsJoinedByAll) {
  Context impatient;
  impatient.may_wait = false;
  EXPECT_EQ(joins_one_that_may_not_wait(impatient, 1).value(), 1);
  EXPECT_EQ(joins_one_that_may_not_wait(Context(), 1).value(), 1);
}

TEST(SingleFlight, WhoMayWaitTakesOverFromAWorkerThatWouldHaveHadTo) {
  Context impatient;
  impatient.may_wait = false;
  const Result<int> would_wait = fail(ErrorKind::kWouldWait, "far away");
  EXPECT_EQ(joins_one_that_may_not_wait(impatient, would_wait).error().kind(),
            ErrorKind::kWouldWait);
  EXPECT_EQ(joins_one_that_may_not_wait(Context(), would_wait).value(), 2);
}

}  // namespace
}  // namespace castore
