// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cli/progress.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cli/display.h"

namespace castore::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRedrawEvery{100};
constexpr milliseconds kQuietAtFirst{300};
constexpr size_t kRateSamples = 30;
constexpr size_t kColumnsDefault = 80;
constexpr size_t kBarCells = 20;

size_t terminal_columns() {
  struct winsize size;
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kColumnsDefault;
}

// Standard error is unbuffered; one write a redraw keeps the line whole.
void write_to_stderr(std::string_view text) {
  (void)!::write(STDERR_FILENO, text.data(), text.size());
}

std::string bar(double done) {
  auto filled = static_cast<size_t>(std::clamp(done, 0.0, 1.0) * kBarCells);
  return fmt::format("[{:<{}}]", std::string(filled, '='), kBarCells);
}

}  // namespace

ProgressCounts& ProgressCounts::operator+=(const transfer::Tally& tally) {
  files += tally.files;
  bytes += tally.bytes;
  bytes_new += tally.bytes_new;
  blobs_new += tally.blobs_new;
  blobs_reused += tally.blobs_reused;
  return *this;
}

void RateMeter::add(Clock::time_point now, uint64_t bytes_so_far) {
  samples_.push_back({now, bytes_so_far});
  if (samples_.size() > kRateSamples) samples_.pop_front();
}

uint64_t RateMeter::bytes_per_s() const {
  if (samples_.size() < 2) return 0;
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  std::chrono::duration<double> passed = last.time - first.time;
  if (passed.count() <= 0 || last.bytes < first.bytes) return 0;
  return static_cast<uint64_t>(static_cast<double>(last.bytes - first.bytes) / passed.count());
}

std::string progress_line(std::string_view doing, const ProgressCounts& counts,
                          uint64_t bytes_per_s, std::chrono::seconds elapsed, size_t columns) {
  std::string line(doing);
  if (counts.done) line += "  " + bar(*counts.done);
  line += fmt::format("  {}:{:02}  {} files  {}  {}/s", elapsed.count() / 60, elapsed.count() % 60,
                      display_count(counts.files), display_bytes(counts.bytes),
                      display_bytes(bytes_per_s));
  if (counts.blobs_new != 0 || counts.blobs_reused != 0)
    line += fmt::format("  new {} ({})  reused {}", display_count(counts.blobs_new),
                        display_bytes(counts.bytes_new), display_count(counts.blobs_reused));
  if (line.size() > columns) line.resize(columns);
  return line;
}

Progress::Progress(ProgressMode mode, std::string doing, std::function<ProgressCounts()> watch)
    : doing_(std::move(doing)), watch_(std::move(watch)) {
  bool shown = mode == ProgressMode::kAlways ||
               (mode == ProgressMode::kAuto && ::isatty(STDERR_FILENO) == 1);
  if (shown) thread_ = std::thread([this] { run(); });
}

Progress::Progress(ProgressMode mode, std::string doing, const transfer::Tally& tally)
    : Progress(mode, std::move(doing), [&tally] { return ProgressCounts() += tally; }) {}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  state_.lock()->ended = true;
  ended_.notify_one();
  thread_.join();
}

Result<void> Progress::aside(const std::function<Result<void>()>& print) {
  auto state = state_.lock();
  erase(*state);
  return print();
}

void Progress::erase(State& state) {
  if (std::exchange(state.drawn, false)) write_to_stderr("\r\x1b[K");
}

void Progress::run() {
  (void)::pthread_setname_np(::pthread_self(), "progress");
  auto begin = RateMeter::Clock::now();
  RateMeter rate;
  milliseconds pause = kQuietAtFirst;
  for (;;) {
    auto state = state_.lock();
    if (state.wait_for(ended_, pause, [&] { return state->ended; })) {
      erase(*state);
      return;
    }
    pause = kRedrawEvery;
    auto now = RateMeter::Clock::now();
    ProgressCounts counts = watch_();
    rate.add(now, counts.bytes);
    auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - begin);
    // One column less than there are: a full line would wrap. The cursor goes back to the front, so
    // that a log line replaces the drawing.
    std::string line =
        progress_line(doing_, counts, rate.bytes_per_s(), elapsed, terminal_columns() - 1);
    write_to_stderr("\r" + line + "\x1b[K\r");
    state->drawn = true;
  }
}

}  // namespace castore::cli
