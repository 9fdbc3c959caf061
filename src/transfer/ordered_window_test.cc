// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/ordered_window.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace castore::transfer {
namespace {

struct OwnBudget {
  Budget budget;
};

// A window with a budget of its own, for which items in hand count nothing.
template <typename Item>
class WindowOf : OwnBudget, public OrderedWindow<Item> {
 public:
  WindowOf(size_t item_count_max, size_t bytes_max)
      : OwnBudget{Budget(bytes_max)}, OrderedWindow<Item>(item_count_max, budget, 0) {}
};
using Window = WindowOf<int>;

TEST(OrderedWindow, GivesItemsInTheOrderTheyWereAddedHoweverTheyFinish) {
  Window window(8, 100);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(window.add(i, true));
  window.end();
  auto first = window.take();
  auto second = window.take();
  auto third = window.take();
  window.finish(*third, 0, false);
  window.finish(*first, 0, false);
  window.finish(*second, 0, false);
  for (int i = 0; i < 3; ++i) {
    int* item = window.next();
    ASSERT_TRUE(item);
    EXPECT_EQ(*item, i);
  }
  EXPECT_FALSE(window.next());
  EXPECT_FALSE(window.take());
}

TEST(OrderedWindow, ItemsThatNeedNoWorkPassTheWorkersBy) {
  Window window(8, 100);
  window.add(1, false);
  window.add(2, true);
  window.add(3, false);
  window.end();
  auto taken = window.take();
  EXPECT_EQ(*taken->item, 2);
  EXPECT_FALSE(window.take());
  EXPECT_EQ(*window.next(), 1);
  window.finish(*taken, 0, false);
  EXPECT_EQ(*window.next(), 2);
  EXPECT_EQ(*window.next(), 3);
  EXPECT_FALSE(window.next());
}

TEST(OrderedWindow, DestroysAnItemWhenTheNextIsAskedFor) {
  WindowOf<std::shared_ptr<int>> window(4, 100);
  auto value = std::make_shared<int>(1);
  window.add(value, false);
  window.add(nullptr, false);
  window.next();
  EXPECT_EQ(value.use_count(), 2);
  window.next();
  EXPECT_EQ(value.use_count(), 1);
}

TEST(OrderedWindow, GivesOutNoWorkWhileFinishedItemsHoldTooManyBytes) {
  Window window(8, 100);
  for (int i = 0; i < 3; ++i) window.add(i, true);
  window.finish(*window.take(), 60, false);
  window.finish(*window.take(), 40, false);
  std::jthread worker([&] {
    auto taken = window.take();
    ASSERT_TRUE(taken);
    EXPECT_EQ(*taken->item, 2);
    window.finish(*taken, 0, false);
  });
  // The worker can get on only when the consumer has done with the others.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*window.next(), i);
}

TEST(OrderedWindow, AWindowThatHoldsNothingGetsOnThoughOthersSpentTheBudget) {
  Budget budget(100);
  budget.take(100);
  OrderedWindow<int> window(8, budget, 10);
  for (int i = 0; i < 3; ++i) window.add(i, true);
  window.end();
  std::jthread worker([&] {
    while (auto taken = window.take()) window.finish(*taken, 50, false);
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*window.next(), i);
  EXPECT_FALSE(window.next());
}

// Class of fault: who sleeps for want of room is not told that there is no more work.
TEST(OrderedWindow, WorkersThatWaitedForRoomEndWithTheOthers) {
  Budget budget(100);
  budget.take(100);
  for (int round = 0; round < 200; ++round) {
    OrderedWindow<int> window(64, budget, 10);
    for (int i = 0; i < 50; ++i) window.add(i, true);
    window.end();
    std::vector<std::jthread> workers;
    for (int i = 0; i < 4; ++i)
      workers.emplace_back([&] {
        while (auto taken = window.take()) window.finish(*taken, 0, false);
      });
  }
}

TEST(OrderedWindow, GivesBackToTheBudgetWhatItHeldAtItsEnd) {
  Budget budget(100);
  {
    OrderedWindow<int> window(8, budget, 40);
    for (int i = 0; i < 3; ++i) window.add(i, true);
    window.finish(*window.take(), 80, false);
    EXPECT_FALSE(budget.is_spent());
    (void)window.take();
    EXPECT_TRUE(budget.is_spent());
  }
  budget.take(99);
  EXPECT_FALSE(budget.is_spent());
  budget.take(1);
  EXPECT_TRUE(budget.is_spent());
}

// Several imports at once took the memory of several.
TEST(OrderedWindow, WindowsThatShareABudgetStayWithinItTogether) {
  constexpr int kWindows = 4;
  constexpr int kCount = 3000;
  constexpr size_t kItemBytesMax = 10;
  constexpr size_t kBytesMax = 60;
  Budget budget(kBytesMax);
  std::atomic<size_t> held = 0;
  std::atomic<size_t> most_held = 0;
  auto hold = [&](size_t bytes) {
    const size_t now = held += bytes;
    size_t most = most_held;
    while (most < now && !most_held.compare_exchange_weak(most, now)) {
    }
  };
  auto carry = [&] {
    OrderedWindow<size_t> window(64, budget, kItemBytesMax);
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
      for (size_t i = 0; i < kCount; ++i) window.add(i, true);
      window.end();
    });
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        while (auto taken = window.take()) {
          const size_t bytes = *taken->item % kItemBytesMax;
          hold(bytes);
          window.finish(*taken, bytes, false);
        }
      });
    for (size_t i = 0; i < kCount; ++i) {
      size_t* item = window.next();
      ASSERT_TRUE(item);
      ASSERT_EQ(*item, i);
      held -= i % kItemBytesMax;
    }
    EXPECT_FALSE(window.next());
  };
  {
    std::vector<std::jthread> imports;
    for (int i = 0; i < kWindows; ++i) imports.emplace_back(carry);
  }
  EXPECT_EQ(held, 0u);
  // One portion each may come on top, taken between a look at the budget and the taking.
  EXPECT_LE(most_held, kBytesMax + kWindows * kItemBytesMax);
}

TEST(OrderedWindow, GivesOutNoWorkAfterTheLastWantedItem) {
  Window window(8, 100);
  for (int i = 0; i < 4; ++i) window.add(i, true);
  auto first = window.take();
  auto second = window.take();
  window.finish(*second, 0, true);
  EXPECT_FALSE(window.take());
  window.finish(*first, 0, false);
  EXPECT_EQ(*window.next(), 0);
  EXPECT_EQ(*window.next(), 1);
}

TEST(OrderedWindow, ClosingFreesEverybodyWhoWaits) {
  Window window(1, 100);
  ASSERT_TRUE(window.add(0, true));
  ASSERT_TRUE(window.take());
  std::jthread producer([&] { EXPECT_FALSE(window.add(1, true)); });
  std::jthread worker([&] { EXPECT_FALSE(window.take()); });
  std::jthread consumer([&] { EXPECT_FALSE(window.next()); });
  window.close();
}

TEST(OrderedWindow, CarriesManyItemsThroughManyWorkersInOrder) {
  constexpr int kCount = 20'000;
  Window window(64, 1000);
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    for (int i = 0; i < kCount; ++i) window.add(i, i % 5 != 0);
    window.end();
  });
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      while (auto taken = window.take()) {
        const auto bytes = static_cast<size_t>(*taken->item % 300);
        window.finish(*taken, bytes, false);
      }
    });
  for (int i = 0; i < kCount; ++i) {
    int* item = window.next();
    ASSERT_TRUE(item);
    ASSERT_EQ(*item, i);
  }
  EXPECT_FALSE(window.next());
}

}  // namespace
}  // namespace castore::transfer
