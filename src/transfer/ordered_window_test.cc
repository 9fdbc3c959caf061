// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer/ordered_window.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace castore::transfer {
namespace {

using Window = OrderedWindow<int>;

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
  OrderedWindow<std::shared_ptr<int>> window(4, 100);
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
