#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Builds the fuzz targets and runs each for a while from its kept corpus.
#
#   tools/fuzz.sh [SECONDS [TARGET...]]     15 seconds, every target
#
# New inputs gather in build/fuzz/corpus/<target>/ and are the start of the next run. A finding goes
# to build/fuzz/findings/<target>/; once it is fixed, it is kept in fuzz/corpus/<target>/.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-15}
targets=("${@:2}")
if ((${#targets[@]} == 0)); then
  for source in fuzz/*_fuzz.cc; do
    target=${source##*/}
    targets+=("${target%_fuzz.cc}")
  done
fi

cmake --preset asan >/dev/null
cmake --build build/asan --target fuzz_targets

fuzz_one() {
  local target=$1 found=build/fuzz/corpus/$1 findings=build/fuzz/findings/$1
  mkdir -p "$found" "$findings"
  # detect_leaks: one-off allocations of libraries would be reported at each exit.
  if ! "build/asan/fuzz/${target}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
    -close_fd_mask=1 -verbosity=0 -print_final_stats=1 -artifact_prefix="$findings/" \
    "$found" "fuzz/corpus/$target" >"build/fuzz/$target.log" 2>&1; then
    tail -n 60 "build/fuzz/$target.log"
    echo "$target: FAILED; repeat with build/asan/fuzz/${target}_fuzz $findings/<file>"
    return 1
  fi
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$target.log") inputs"
}
export -f fuzz_one
export seconds
printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz_one "$1"' fuzz_one
