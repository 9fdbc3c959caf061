// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/guarded.h"
#include "base/result.h"
#include "transfer/tally.h"

namespace castore::cli {

enum class ProgressMode { kAuto, kAlways, kNever };

// What a progress line shows: a moment of one or several tallies.
struct ProgressCounts {
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t bytes_new = 0;
  uint64_t blobs_new = 0;
  uint64_t blobs_reused = 0;
  std::optional<double> done = std::nullopt;  // 0 to 1, where the whole is known

  ProgressCounts& operator+=(const transfer::Tally& tally);
};

// Bytes a second over the last moments. Not a long average: a rate that fell should show.
class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;

  void add(Clock::time_point now, uint64_t bytes_so_far);
  uint64_t bytes_per_s() const;

 private:
  struct Sample {
    Clock::time_point time;
    uint64_t bytes;
  };
  std::deque<Sample> samples_;
};

// The line as shown, at most `columns` wide: "importing  [====    ]  1,204 files  1.2 GiB  ...".
std::string progress_line(std::string_view doing, const ProgressCounts& counts,
                          uint64_t bytes_per_s, std::chrono::seconds elapsed, size_t columns);

// Draws a progress line on standard error from a thread of its own, ten times a second, while it
// lives; erases it at the end. Draws nothing where standard error is no terminal, unless told
// kAlways, and nothing in the first moments, so that short work stays quiet.
class Progress {
 public:
  // `watch` is called from the drawing thread.
  Progress(ProgressMode mode, std::string doing, std::function<ProgressCounts()> watch);
  Progress(ProgressMode mode, std::string doing, const transfer::Tally& tally);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  // Runs `print` with the line erased, as for a result on the same terminal.
  Result<void> aside(const std::function<Result<void>()>& print);

 private:
  struct State {
    bool ended = false;
    bool drawn = false;
  };

  void run();
  static void erase(State& state);

  const std::string doing_;
  const std::function<ProgressCounts()> watch_;
  Guarded<State> state_;
  std::condition_variable ended_;
  std::thread thread_;
};

}  // namespace castore::cli
